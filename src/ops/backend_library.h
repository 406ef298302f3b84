#pragma once

#include <string_view>
#include <vector>

#include "ops/implementation.h"

namespace tenon::device {
class Device;
struct GpuSurvey;
struct LibraryReport;
}  // namespace tenon::device

namespace tenon::ops {

inline constexpr int kBackendLibraryVersion = 2;

// What a back end in a shared library of its own offers. The library exports
//   extern "C" const tenon::ops::BackendLibrary* tenon_backend_library();
// It is built with Tenon, of the same version: this is no plug-in interface.
struct BackendLibrary {
  int version = kBackendLibraryVersion;
  std::string_view name;  // "cuda"
  // What hardware, driver and code there are; device::gpu_refusal() judges it.
  device::GpuSurvey (*survey)() = nullptr;
  // The libraries it opens at run time, opened now.
  std::vector<device::LibraryReport> (*libraries)() = nullptr;
  // Only for a device that gpu_refusal() does not refuse. Lives as long as the process.
  device::Device& (*open_device)(int index) = nullptr;
  ImplementationList (*implementations)() = nullptr;
};

}  // namespace tenon::ops
