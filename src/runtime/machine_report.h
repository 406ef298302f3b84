#pragma once

#include <optional>
#include <string>
#include <vector>

#include "device/gpu_survey.h"

namespace tenon::runtime {

// One set of the CPU's instructions that kernels are compiled for.
struct CpuFeature {
  std::string name;     // "avx512_bf16"
  std::string missing;  // "this CPU lacks ..."; "" where kernels use it
};

struct GpuReport {
  device::Gpu gpu;
  int64_t free_bytes = -1;       // -1: it could not be asked
  std::optional<Error> refusal;  // why it cannot be used, or what failed when it was tried
};

// What this machine has, and what Tenon can make of it.
struct MachineReport {
  std::string cpu;  // model and threads
  std::vector<CpuFeature> cpu_features;
  device::LibraryReport driver;             // libcuda.so.1
  device::LibraryReport backend;            // libtenon_cuda.so
  std::optional<device::GpuSurvey> survey;  // none without the back end
  // Where no GPU can be used at all: the error that --device cuda gives.
  std::optional<Error> no_gpu;
  std::vector<GpuReport> gpus;
  std::vector<device::LibraryReport> libraries;  // the back end's own
};

// Looks, and tries each GPU with one kernel and its copies. Throws where the CPU does not work.
MachineReport report_machine();

}  // namespace tenon::runtime
