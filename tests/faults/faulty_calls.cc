#include "faulty_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace tenon::faults {
namespace {

std::atomic<int64_t> g_count{0}, g_fail_at{0}, g_live{0};
std::atomic<bool> g_failed{false};

struct {
  Call call = Call::Read;
  Fault fault = Fault::None;
  int code = 0;
  int64_t at = 0;
  const char* part = "";
  std::atomic<int64_t> count{0};
  std::atomic<bool> happened{false};
} g_call;

bool allocation_fails() {
  int64_t number = g_count.fetch_add(1) + 1;
  if (number != g_fail_at.load()) return false;
  g_failed.store(true);
  return true;
}

void* counted(void* memory) {
  if (memory) g_live.fetch_add(static_cast<int64_t>(malloc_usable_size(memory)));
  return memory;
}

void uncounted(void* memory) {
  if (memory) g_live.fetch_sub(static_cast<int64_t>(malloc_usable_size(memory)));
}

bool is_watched(const char* path) {
  return strstr(path, g_call.part) != nullptr;
}
bool is_watched(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0) return false;
  path[size] = '\0';
  return is_watched(path);
}

// What this call must do: nothing, or the planted fault.
template <class File>
Fault fault_of(Call call, File file) {
  if (g_call.fault == Fault::None || g_call.call != call || !is_watched(file)) return Fault::None;
  int64_t number = g_call.count.fetch_add(1) + 1;
  bool now = g_call.at == 0 ? (g_call.fault != Fault::Interrupted || number % 2 == 1)
                            : number == g_call.at;
  if (!now) return Fault::None;
  g_call.happened.store(true);
  errno = g_call.fault == Fault::Interrupted ? EINTR : g_call.code;
  return g_call.fault;
}

}  // namespace

int64_t allocations() {
  return g_count.load();
}
void plant_allocation_fault(int64_t number) {
  g_failed.store(false);
  g_count.store(0);
  g_fail_at.store(number);
}
bool allocation_fault_happened() {
  return g_failed.load();
}
int64_t live_bytes() {
  return g_live.load();
}

void plant_call_fault(Call call, Fault fault, int code, int64_t number, const char* part) {
  g_call.fault = Fault::None;
  g_call.call = call;
  g_call.code = code;
  g_call.at = number;
  g_call.part = part;
  g_call.count.store(0);
  g_call.happened.store(false);
  g_call.fault = fault;
}
bool call_fault_happened() {
  return g_call.happened.load();
}
void clear_call_fault() {
  g_call.fault = Fault::None;
}

}  // namespace tenon::faults

using tenon::faults::Call;
using tenon::faults::Fault;
using tenon::faults::fault_of;

extern "C" {
void* __libc_malloc(size_t);
void __libc_free(void*);
void* __libc_memalign(size_t, size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);

// The C library's own needs are counted and not failed: what is tested is our code, which allocates
// with new and aligned_alloc.
void* malloc(size_t size) {
  return tenon::faults::counted(__libc_malloc(size));
}
void* calloc(size_t count, size_t size) {
  return tenon::faults::counted(__libc_calloc(count, size));
}
void* realloc(void* memory, size_t size) {
  tenon::faults::uncounted(memory);
  return tenon::faults::counted(__libc_realloc(memory, size));
}
void free(void* memory) {
  tenon::faults::uncounted(memory);
  __libc_free(memory);
}
void* aligned_alloc(size_t alignment, size_t size) {
  if (tenon::faults::allocation_fails()) {
    errno = ENOMEM;
    return nullptr;
  }
  return tenon::faults::counted(__libc_memalign(alignment, size));
}

ssize_t read(int fd, void* data, size_t size) {
  switch (fault_of(Call::Read, fd)) {
    case Fault::Error:
    case Fault::Interrupted:
      return -1;
    case Fault::Short:
      size = size > 1 ? size / 2 : size;
      break;
    case Fault::None:
      break;
  }
  return syscall(SYS_read, fd, data, size);
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  switch (fault_of(Call::Write, fd)) {
    case Fault::Error:
    case Fault::Interrupted:
      return -1;
    case Fault::Short:
      size = size > 1 ? size / 2 : size;
      break;
    case Fault::None:
      break;
  }
  return syscall(SYS_pwrite64, fd, data, size, offset);
}

int fsync(int fd) {
  if (fault_of(Call::Sync, fd) == Fault::Error) return -1;
  return static_cast<int>(syscall(SYS_fsync, fd));
}

int rename(const char* from, const char* to) {
  if (fault_of(Call::Rename, from) == Fault::Error) return -1;
  return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

void* mmap(void* place, size_t size, int protection, int flags, int fd, off_t offset) {
  if (fd >= 0 && fault_of(Call::Map, fd) == Fault::Error) return MAP_FAILED;
  return reinterpret_cast<void*>(syscall(SYS_mmap, place, size, protection, flags, fd, offset));
}
}

void* operator new(size_t size) {
  void* memory = tenon::faults::allocation_fails() ? nullptr : malloc(size);
  if (!memory) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept {
  free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  free(memory);
}
