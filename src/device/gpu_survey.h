#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace tenon::device {

// One GPU as its driver describes it.
struct Gpu {
  int index = 0;  // the driver's own order
  std::string name = {};
  int major = 0, minor = 0;  // compute capability
  int64_t bytes = 0;         // of its memory
  std::string problem = {};  // why it does not answer; "" where it does
};

// What a GPU back end found of hardware and driver, and what it brings itself. Data only, so that
// every machine there may be can be written down in a test.
struct GpuSurvey {
  enum class Driver { Works, Absent, TooOld, Failed };
  Driver driver = Driver::Works;
  std::string failure = {};  // Failed: what the driver said
  int driver_version = 0;    // of the newest CUDA it serves: 13000 is 13.0; 0 where absent
  int needed_version = 0;
  // The code the back end holds, as CMake's CUDA_ARCHITECTURES with commas: "80-virtual,86,90a".
  std::string architectures = {};
  std::vector<Gpu> gpus = {};
};

// One library a back end opens at run time.
struct LibraryReport {
  std::string file = {};     // "libcublasLt.so.13"
  std::string enables = {};  // what its absence costs
  std::string path = {};     // where it was found; "" where it was not
  std::string version = {};
  std::string problem = {};  // why it is of no use; "" where it is
};

// "13.0" of 13000.
std::string cuda_version_text(int version);

// Whether code for `architectures` runs on a GPU of that compute capability. Machine code ("86",
// "86-real") serves its major version from its minor on; PTX ("80", "80-virtual") everything from
// its version on; "90a" that capability alone; "100f" its family: that major version.
bool carries_code(std::string_view architectures, int major, int minor);

// Why GPU `index` cannot be used: ErrorCode::Unsupported (no driver, too old a driver, no GPU, an
// older one than 8.0) or ErrorCode::WrongPlan (the back end lacks its architecture), with what was
// found and what is needed. None where it can.
std::optional<Error> gpu_refusal(const GpuSurvey& survey, int index);

}  // namespace tenon::device
