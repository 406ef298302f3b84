#include "device/gpu_survey.h"

#include <charconv>

#include "base/text.h"

namespace tenon::device {
namespace {

constexpr int kLeastCapability = 80;
constexpr std::string_view kNeeds =
    "an NVIDIA GPU of compute capability 8.0 or newer and its driver";

std::string capability_text(int major, int minor) {
  return std::to_string(major) + "." + std::to_string(minor);
}

// One entry of CUDA_ARCHITECTURES.
bool entry_carries(std::string_view entry, int major, int minor) {
  int code = 0;
  auto [end, status] = std::from_chars(entry.data(), entry.data() + entry.size(), code);
  if (status != std::errc()) return false;
  std::string_view suffix = entry.substr(end - entry.data());
  int capability = 10 * major + minor;
  if (!suffix.empty() && suffix[0] == 'a') return capability == code;
  bool same_major = code / 10 == major && capability >= code;
  if (!suffix.empty() && suffix[0] == 'f') return same_major;
  bool is_ptx = suffix != "-real";  // no suffix is both
  return same_major ? true : is_ptx && capability >= code;
}

Error no_device(int index, std::string_view found) {
  return Error(ErrorCode::Unsupported, "no such device")
      .at("cuda:" + std::to_string(index))
      .got(found);
}

std::optional<Error> driver_refusal(const GpuSurvey& survey, int index) {
  switch (survey.driver) {
    case GpuSurvey::Driver::Works:
      return std::nullopt;
    case GpuSurvey::Driver::Absent:
      return no_device(index, "no NVIDIA driver")
          .accepted(kNeeds)
          .fix("install the driver (libcuda.so.1), or run with --device cpu");
    case GpuSurvey::Driver::TooOld:
      return no_device(index,
                       "the NVIDIA driver is for CUDA " + cuda_version_text(survey.driver_version))
          .accepted("a driver for CUDA " + cuda_version_text(survey.needed_version) + " or newer")
          .fix("update the driver, or run with --device cpu");
    case GpuSurvey::Driver::Failed:
      return no_device(index, "the NVIDIA driver does not start: " + survey.failure)
          .accepted(kNeeds)
          .fix("look at nvidia-smi, or run with --device cpu");
  }
  return std::nullopt;
}

}  // namespace

std::string cuda_version_text(int version) {
  return capability_text(version / 1000, version % 1000 / 10);
}

bool carries_code(std::string_view architectures, int major, int minor) {
  for (const std::string& entry : split(architectures, ',')) {
    if (entry_carries(entry, major, minor)) return true;
  }
  return false;
}

std::optional<Error> gpu_refusal(const GpuSurvey& survey, int index) {
  if (auto refusal = driver_refusal(survey, index)) return refusal;
  if (index < 0 || index >= static_cast<int>(survey.gpus.size())) {
    std::string found = survey.gpus.empty() ? "the driver shows no GPU"
                                            : std::to_string(survey.gpus.size()) + " GPU(s)";
    return no_device(index, found).accepted(kNeeds).fix("run with --device cpu");
  }
  const Gpu& gpu = survey.gpus[index];
  if (!gpu.problem.empty()) {
    return no_device(index, gpu.problem).accepted(kNeeds).fix("look at nvidia-smi");
  }
  std::string capability = capability_text(gpu.major, gpu.minor);
  std::string found = gpu.name + " of compute capability " + capability;
  if (10 * gpu.major + gpu.minor < kLeastCapability) {
    return no_device(index, found).accepted(kNeeds).fix("run with --device cpu");
  }
  if (carries_code(survey.architectures, gpu.major, gpu.minor)) return std::nullopt;
  return Error(ErrorCode::WrongPlan, "libtenon_cuda.so has no code for this GPU")
      .at("cuda:" + std::to_string(index))
      .got(found)
      .accepted("CUDA architectures " + survey.architectures)
      .fix("build Tenon with -DTENON_CUDA_ARCHITECTURES=" + std::to_string(gpu.major) +
           std::to_string(gpu.minor) + ", or run with --device cpu");
}

}  // namespace tenon::device
