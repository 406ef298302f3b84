#include "runtime/session.h"

#include "base/error.h"
#include "runtime/backend_loader.h"
#include "runtime/device_constants.h"

namespace tenon::runtime {
namespace {

class FileConstants : public ConstantSource {
 public:
  explicit FileConstants(std::shared_ptr<const plan::PlanFile> file) : file_(std::move(file)) {}
  TensorView constant(size_t index) override { return file_->constant(index); }

 private:
  std::shared_ptr<const plan::PlanFile> file_;
};

}  // namespace

std::unique_ptr<Session> Session::open(std::shared_ptr<const plan::PlanFile> file,
                                       const SessionOptions& options) {
  auto constants = std::make_unique<FileConstants>(file);
  return std::unique_ptr<Session>(new Session(std::move(file), std::move(constants), options));
}

Session::Session(std::shared_ptr<const plan::PlanFile> file,
                 std::unique_ptr<ConstantSource> constants, const SessionOptions& options)
    : file_(std::move(file)), owned_constants_(std::move(constants)), plan_(file_->plan()) {
  make_runners(*owned_constants_, options);
}

Session::Session(const plan::Plan& plan, ConstantSource& constants, const SessionOptions& options)
    : plan_(plan) {
  make_runners(constants, options);
}

Session::~Session() = default;

void Session::make_runners(ConstantSource& constants, const SessionOptions& options) {
  TENON_CHECK(!options.devices.empty());
  DeviceBackends opened = open_backends(options.devices[0], options.reference_only);
  device_ = opened.device;
  stream_ = device_->make_stream();
  ConstantSource* source = &constants;
  if (!device_->is_host()) {
    device_constants_ = std::make_unique<DeviceConstants>(plan_, constants, *device_);
    source = device_constants_.get();
  }
  for (const plan::Stage& stage : plan_.stages) {
    if (stage.ranks > static_cast<int>(options.devices.size())) {
      throw Error(ErrorCode::Unsupported, "the stage needs more devices")
          .at(stage.name)
          .got(std::to_string(options.devices.size()))
          .accepted(std::to_string(stage.ranks));
    }
    runners_.push_back(
        std::make_unique<StageRunner>(stage, *source, opened.backends, *device_, *stream_));
  }
}

bool Session::has_stage(std::string_view name) const {
  for (const auto& runner : runners_) {
    if (runner->stage().name == name) return true;
  }
  return false;
}

StageRunner& Session::stage(std::string_view name) {
  for (const auto& runner : runners_) {
    if (runner->stage().name == name) return *runner;
  }
  throw Error(ErrorCode::BadInput, "the plan has no such stage").got(name);
}

}  // namespace tenon::runtime
