#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <string_view>
#include <utility>

#include "ops/implementation.h"

namespace tenon::cuda {

// The stream of a call. Makes its device current for the calling thread.
cudaStream_t stream_of(const ops::RunArgs& args);

// What launches ask of the device that is current for the calling thread.
struct Card {
  int multiprocessors = 0, major = 0;
  int shared_bytes = 0;  // the most a block may have
  // Clusters, the copy engine, programmatic dependent launch.
  bool is_hopper_or_newer() const { return major >= 9; }
};
Card current_card();

struct LaunchShape {
  dim3 grid, block;
  int64_t shared_bytes = 0;  // dynamic; above 48 KiB the kernel is told once by allow_shared_bytes
  // The kernel may start before the previous one on the stream ended (programmatic dependent
  // launch, compute capability 9.0). Every thread of it must call device::wait_for_previous()
  // before it reads or writes anything another kernel writes or reads, and before it returns. A
  // kernel lets the next one start with device::let_next_start(), best as its first statement.
  // Programmatic dependencies chain: nothing an unfinished kernel before the previous one writes
  // may be read before that call either; only what lies still, such as weights, may.
  bool overlaps_previous = false;
  // Blocks in x that run on one cluster of multiprocessors and share their shared memory (compute
  // capability 9.0); divides grid.x. Above 8 the card must allow it.
  unsigned cluster = 1;
};

// Raises a kernel's limit of dynamic shared memory. Cheap after the first call of a kernel; not
// allowed to be skipped while recording.
void allow_shared_bytes(const void* kernel, int64_t bytes);

// Launches; an empty grid is no launch. `name` is for the error.
void launch_raw(const void* kernel, std::string_view name, const LaunchShape& shape,
                cudaStream_t stream, void** params);

template <class... Params, class... Args>
void launch(void (*kernel)(Params...), std::string_view name, const LaunchShape& shape,
            cudaStream_t stream, Args&&... args) {
  static_assert(sizeof...(Params) == sizeof...(Args));
  [&](Params... values) {
    void* pointers[] = {const_cast<void*>(static_cast<const void*>(&values))..., nullptr};
    launch_raw(reinterpret_cast<const void*>(kernel), name, shape, stream, pointers);
  }(std::forward<Args>(args)...);
}

}  // namespace tenon::cuda
