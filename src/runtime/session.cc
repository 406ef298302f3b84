#include "runtime/session.h"

#include "backends/cpu/impl_list.h"
#include "backends/reference/impl_list.h"
#include "base/error.h"

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

std::vector<Backend> backends_for(const device::DeviceId& device, bool reference_only) {
  if (device.kind == device::Kind::Cuda) {
    throw Error(ErrorCode::Unsupported, "this build has no CUDA back end")
        .got(device.to_string())
        .accepted("cpu")
        .fix("run with --device cpu");
  }
  std::vector<Backend> backends;
  if (!reference_only) backends.push_back({"cpu", cpu::implementations()});
  backends.push_back({"reference", reference::implementations()});
  return backends;
}

std::unique_ptr<Session> Session::open(std::shared_ptr<const plan::PlanFile> file, const SessionOptions& options) {
  auto constants = std::make_unique<FileConstants>(file);
  return std::unique_ptr<Session>(new Session(std::move(file), std::move(constants), options));
}

Session::Session(std::shared_ptr<const plan::PlanFile> file, std::unique_ptr<ConstantSource> constants,
                 const SessionOptions& options)
    : file_(std::move(file)), owned_constants_(std::move(constants)), plan_(file_->plan()) {
  make_runners(*owned_constants_, options);
}

Session::Session(const plan::Plan& plan, ConstantSource& constants, const SessionOptions& options) : plan_(plan) {
  make_runners(constants, options);
}

Session::~Session() = default;

void Session::make_runners(ConstantSource& constants, const SessionOptions& options) {
  TENON_CHECK(!options.devices.empty());
  for (const plan::Stage& stage : plan_.stages) {
    if (stage.ranks > static_cast<int>(options.devices.size())) {
      throw Error(ErrorCode::Unsupported, "the stage needs more devices")
          .at(stage.name)
          .got(std::to_string(options.devices.size()))
          .accepted(std::to_string(stage.ranks));
    }
    runners_.push_back(std::make_unique<StageRunner>(plan_, stage, constants,
                                                     backends_for(options.devices[0], options.reference_only),
                                                     device::cpu_device().allocator()));
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
