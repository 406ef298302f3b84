#pragma once

#include <string>

#include "ops/implementation.h"

namespace tenon::device {
class Device;
}

namespace tenon::ops {

// What a back end in a shared library of its own offers. The library exports
//   extern "C" const tenon::ops::BackendLibrary* tenon_backend_library();
// It is built with Tenon, of the same version: this is no plug-in interface.
struct BackendLibrary {
  int version = 1;
  std::string_view name;  // "cuda"
  // How many devices there are; where none, `why` says what was found and what is needed.
  int (*device_count)(std::string& why) = nullptr;
  // Throws ErrorCode::Unsupported where there is no such device. Lives as long as the process.
  device::Device& (*open_device)(int index) = nullptr;
  ImplementationList (*implementations)() = nullptr;
};

}  // namespace tenon::ops
