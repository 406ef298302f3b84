#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "tenon/tenon.h"

struct tenon_error {
  tenon::Error error;
};

namespace tenon::capi {

inline tenon_code report(tenon_error** out, Error error) {
  tenon_code code = static_cast<tenon_code>(error.code());
  if (out) *out = new (std::nothrow) tenon_error{std::move(error)};
  return code;
}

// Where even describing the failure failed, the code has to say it alone.
inline tenon_code report(tenon_error** out, ErrorCode code, std::string_view what) noexcept {
  try {
    return report(out, Error(code, what));
  } catch (...) {
    return static_cast<tenon_code>(code);
  }
}

// Runs the body of one C function. Nothing thrown in it leaves.
template <class Body>
tenon_code guarded(tenon_error** out, Body&& body) noexcept {
  if (out) *out = nullptr;
  try {
    body();
    return TENON_OK;
  } catch (Error& error) {
    try {
      return report(out, std::move(error));
    } catch (...) {
      return TENON_INTERNAL;
    }
  } catch (const std::bad_alloc&) {
    return report(out, ErrorCode::OutOfMemory, "out of memory");
  } catch (const std::exception& error) {
    return report(out, ErrorCode::Internal, error.what());
  } catch (...) {
    return report(out, ErrorCode::Internal, "unknown exception");
  }
}

// Pointers that must not be NULL.
template <class T>
T& need(T* pointer, std::string_view argument) {
  if (!pointer) throw Error(ErrorCode::Usage, "argument is NULL").at(argument);
  return *pointer;
}

template <class T>
std::span<const T> need_array(const T* pointer, size_t count, std::string_view argument) {
  if (count > 0) need(pointer, argument);
  return {pointer, count};
}

// Memory that tenon_free frees.
template <class T>
T* make_copy(std::span<const T> values, size_t extra_zeros = 0) {
  size_t bytes = values.size_bytes() + extra_zeros * sizeof(T);
  auto* copy = static_cast<T*>(std::calloc(bytes > 0 ? bytes : 1, 1));
  if (!copy) throw std::bad_alloc();
  if (!values.empty()) std::memcpy(copy, values.data(), values.size_bytes());
  return copy;
}

// A struct that begins with its size, in this library's version: fields that the caller does not
// know yet are 0; fields that this library does not know must be 0.
template <class T>
T read_struct(const T& given, size_t first_size, std::string_view argument) {
  size_t size = given.struct_size;
  if (size < first_size) {
    throw Error(ErrorCode::Usage, "struct_size is too small; set it to sizeof the struct")
        .at(argument)
        .got(std::to_string(size))
        .accepted("at least " + std::to_string(first_size));
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(&given);
  for (size_t i = sizeof(T); i < size; ++i) {
    if (bytes[i] == 0) continue;
    throw Error(ErrorCode::Unsupported, "the struct sets fields that this version does not know")
        .at(argument)
        .fix("use a newer version of the library");
  }
  T known{};
  std::memcpy(&known, &given, std::min(size, sizeof(T)));
  known.struct_size = sizeof(T);
  return known;
}

}  // namespace tenon::capi
