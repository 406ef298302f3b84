#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "device/device.h"
#include "plan/plan_file.h"
#include "runtime/active_tactics.h"
#include "runtime/stage_runner.h"

namespace tenon::runtime {

class DeviceConstants;

struct SessionOptions {
  std::vector<device::DeviceId> devices = {{device::Kind::Cpu, 0}};
  // Only the scalar reference: the conformance of last resort, very slow.
  bool reference_only = false;
  // The plan's own tactics, and those of PLAN.tactics beside it. Off: the lists' order alone.
  bool use_tactics = true;
};

// Throws ErrorCode::Unsupported where the device has no kernels for weights of 8 or 4 bits.
void check_quantised_device(std::string_view quantisation, const device::DeviceId& device);

// A plan made ready to run on its devices. Entry to kernel: StageRunner::run -> run_step -> the
// bound implementation's run -> launch.
class Session {
 public:
  // Opens a plan file's stages. Throws ErrorCode::Unsupported where a device is not there.
  static std::unique_ptr<Session> open(std::shared_ptr<const plan::PlanFile> file,
                                       const SessionOptions& options = {});
  // Runs a plan in memory (the oracle). `plan` and `constants` must outlive the session.
  Session(const plan::Plan& plan, ConstantSource& constants, const SessionOptions& options = {});
  ~Session();

  const plan::Plan& plan() const { return plan_; }
  device::Device& device() const { return *device_; }
  // Throws ErrorCode::OutOfMemory with what is wanted and free where the weights that are not on
  // the device yet and `state_bytes` do not fit together. Called before anything is allocated, so
  // that a cache that is too large does not take what others need.
  void check_memory(int64_t state_bytes) const;
  // Measured choices in use, with what was skipped; what is refused at binding joins it then.
  const ActiveTactics& tactics() const { return *tactics_; }
  // Where they stand, for people; empty: none were found.
  const std::string& tactics_origin() const { return tactics_origin_; }
  StageRunner& stage(std::string_view name);
  bool has_stage(std::string_view name) const;

 private:
  std::shared_ptr<const plan::PlanFile> file_;
  std::unique_ptr<ConstantSource> owned_constants_;
  std::unique_ptr<DeviceConstants> device_constants_;  // none where the device is the host
  const plan::Plan& plan_;
  device::Device* device_ = nullptr;
  std::unique_ptr<device::Stream> stream_;
  std::unique_ptr<ActiveTactics> tactics_;
  std::string tactics_origin_;
  std::vector<std::unique_ptr<StageRunner>> runners_;
  Session(std::shared_ptr<const plan::PlanFile> file, std::unique_ptr<ConstantSource> constants,
          const SessionOptions& options);
  void make_runners(ConstantSource& constants, const SessionOptions& options);
  void load_tactics(const std::vector<Backend>& backends);
};

}  // namespace tenon::runtime
