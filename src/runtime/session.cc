#include "runtime/session.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "runtime/backend_loader.h"
#include "runtime/device_constants.h"

namespace tenon::runtime {

void check_quantised_device(std::string_view quantisation, const device::DeviceId& device) {
  if (device.kind == device::Kind::Cpu) return;
  throw Error(ErrorCode::Unsupported, "weights of 8 or 4 bits do not run on GPUs yet")
      .at(device.to_string())
      .got(quantisation)
      .accepted("cpu")
      .fix("use --device cpu, or build a plan with --quant none for this device");
}

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
  std::string quantisation = plan_.precision.get_string("quantisation", "none");
  if (quantisation != "none") check_quantised_device(quantisation, options.devices[0]);
  DeviceBackends opened = open_backends(options.devices[0], options.reference_only);
  device_ = opened.device;
  stream_ = device_->make_stream();
  tactics_ = std::make_unique<ActiveTactics>(device_->fingerprint());
  if (options.use_tactics) load_tactics(opened.backends);
  ConstantSource* source = &constants;
  if (!device_->is_host()) {
    device_constants_ = std::make_unique<DeviceConstants>(plan_, constants, *device_);
    source = device_constants_.get();
  }
  check_memory(0);
  if (file_ && device_->is_host()) file_->use_large_pages();
  for (const plan::Stage& stage : plan_.stages) {
    if (stage.ranks > static_cast<int>(options.devices.size())) {
      throw Error(ErrorCode::Unsupported, "the stage needs more devices")
          .at(stage.name)
          .got(std::to_string(options.devices.size()))
          .accepted(std::to_string(stage.ranks));
    }
    runners_.push_back(
        std::make_unique<StageRunner>(stage, *source, opened.backends, *device_, *stream_));
    if (tactics_->size() > 0) runners_.back()->use_tactics(tactics_.get());
  }
}

void Session::check_memory(int64_t state_bytes) const {
  int64_t free = device_->free_bytes();
  int64_t weights = device_constants_ ? device_constants_->pending_bytes() : 0;
  if (free < 0 || checked_add(weights, state_bytes, "device memory") <= free) return;
  bool by_weights = weights > free;
  std::string wanted = format_bytes(weights) + " for weights";
  if (state_bytes > 0) wanted += " and " + format_bytes(state_bytes) + " for states (KV cache)";
  throw Error(ErrorCode::OutOfMemory, by_weights ? "the plan does not fit into the device's memory"
                                                 : "the KV cache does not fit beside the weights")
      .at(device_->id().to_string())
      .got(wanted + " wanted, " + format_bytes(free) + " free")
      .fix(by_weights ? "build the plan in a smaller type, or use a device with more memory"
                      : "ask for fewer or shorter sequences, or limit the cache");
}

// Those beside the plan were measured later than those in it, so they win. They are an opinion
// about speed: a file that is damaged or meant for another plan is listed, and the plan runs.
void Session::load_tactics(const std::vector<Backend>& backends) {
  for (const plan::TacticSet& set : plan_.tactics) {
    tactics_->add(set, "tactics in the plan", backends);
    tactics_origin_ = "the plan";
  }
  std::string path = file_ ? plan::tactics_path(file_->path()) : "";
  if (!file_ || !file_exists(path)) return;
  tactics_origin_ = path;
  try {
    plan::TacticsFile file = plan::read_tactics_file(path);
    if (file.plan != to_hex(file_->identity())) {
      tactics_->skip(path + ": made for another plan; tune again");
      return;
    }
    tactics_->add(file.set, path, backends);
  } catch (const Error& error) {
    tactics_->skip(error.what());
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
