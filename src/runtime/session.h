#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "device/device.h"
#include "plan/plan_file.h"
#include "runtime/stage_runner.h"

namespace tenon::runtime {

struct SessionOptions {
  std::vector<device::DeviceId> devices = {{device::Kind::Cpu, 0}};
  // Only the scalar reference: the conformance of last resort, very slow.
  bool reference_only = false;
};

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
  StageRunner& stage(std::string_view name);
  bool has_stage(std::string_view name) const;

 private:
  std::shared_ptr<const plan::PlanFile> file_;
  std::unique_ptr<ConstantSource> owned_constants_, device_constants_;
  const plan::Plan& plan_;
  device::Device* device_ = nullptr;
  std::unique_ptr<device::Stream> stream_;
  std::vector<std::unique_ptr<StageRunner>> runners_;
  Session(std::shared_ptr<const plan::PlanFile> file, std::unique_ptr<ConstantSource> constants,
          const SessionOptions& options);
  void make_runners(ConstantSource& constants, const SessionOptions& options);
};

}  // namespace tenon::runtime
