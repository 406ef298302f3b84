#pragma once

#include <cstdint>

// Faults of the machine, planted: this test program brings its own versions of memory allocation
// and of some calls of the C library, which the libraries under test use, too.
namespace tenon::faults {

// The count of allocations since the last call of plant_allocation_fault.
int64_t allocations();
// The `number`-th allocation from now on fails, once; 0: none.
void plant_allocation_fault(int64_t number);
bool allocation_fault_happened();
// Bytes allocated and not freed.
int64_t live_bytes();

enum class Call { Read, Write, Sync, Rename, Map };
enum class Fault {
  None,
  Error,        // fails with `code`
  Short,        // does half of the bytes
  Interrupted,  // fails with EINTR, every other time
};
// The `number`-th such call from now on (every one where it is 0) goes wrong. Only files whose path
// contains `part` are touched, so that the test's own files stay whole.
void plant_call_fault(Call call, Fault fault, int code, int64_t number, const char* part);
bool call_fault_happened();
void clear_call_fault();

}  // namespace tenon::faults
