#include "frontends/safetensors/safetensors_file.h"

#include <algorithm>
#include <cstring>

#include "base/limits.h"
#include "frontends/safetensors/safetensors_header.h"

namespace tenon::frontends {
namespace {

constexpr int64_t kLengthBytes = 8;

// The header's length, after comparing it with the file and the limit.
int64_t read_header_length(std::span<const std::byte> file) {
  int64_t size = static_cast<int64_t>(file.size());
  if (size < kLengthBytes) {
    throw Error(ErrorCode::BadInput, "not a safetensors file: too short for a header length")
        .at("byte 0")
        .got(std::to_string(size) + " bytes")
        .accepted("at least 8");
  }
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<uint64_t>(file[i]);
  if (length > static_cast<uint64_t>(kLimits.safetensors_header_bytes)) {
    throw Error(ErrorCode::BadInput, "header is too long, or this is no safetensors file")
        .at("byte 0")
        .got(std::to_string(length))
        .accepted("at most " + std::to_string(kLimits.safetensors_header_bytes) + " bytes");
  }
  if (length > static_cast<uint64_t>(size - kLengthBytes)) {
    throw Error(ErrorCode::BadInput,
                "header is longer than the file: truncated, or not safetensors")
        .at("byte 0")
        .got("have " + std::to_string(size - kLengthBytes) + ", need " + std::to_string(length));
  }
  return static_cast<int64_t>(length);
}

}  // namespace

std::shared_ptr<const SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  return open(MappedFile::open(path));
}

std::shared_ptr<const SafetensorsFile> SafetensorsFile::open(
    std::shared_ptr<const MappedFile> mapped) {
  std::shared_ptr<SafetensorsFile> opened(new SafetensorsFile());
  opened->file_ = std::move(mapped);
  std::span<const std::byte> file = opened->file_->bytes();
  try {
    int64_t length = read_header_length(file);
    int64_t data_begin = kLengthBytes + length;
    std::span<const std::byte> text = file.subspan(kLengthBytes, length);
    SafetensorsHeader header = parse_safetensors_header(
        {reinterpret_cast<const char*>(text.data()), text.size()}, file.size() - data_begin);
    opened->header_digest_ = digest_of(text);
    for (int64_t& offset : header.offsets) offset += data_begin;
    opened->weights_ = std::move(header.weights);
    opened->offsets_ = std::move(header.offsets);
    opened->by_name_ = std::move(header.by_name);
  } catch (Error& error) {
    // A header that was cut while it was read fails in odd ways; the cause is the better message.
    opened->file_->verify_unchanged();
    error.within(opened->path());
    throw;
  }
  opened->file_->verify_unchanged();
  return opened;
}

int64_t SafetensorsFile::index_of(std::string_view name) const {
  auto at =
      std::lower_bound(by_name_.begin(), by_name_.end(), name,
                       [&](uint32_t i, std::string_view key) { return weights_[i].name < key; });
  return at != by_name_.end() && weights_[*at].name == name ? static_cast<int64_t>(*at) : -1;
}

const WeightInfo* SafetensorsFile::find(std::string_view name) const {
  int64_t index = index_of(name);
  return index < 0 ? nullptr : &weights_[index];
}

TensorView SafetensorsFile::view(std::string_view name) const {
  int64_t index = index_of(name);
  if (index < 0) throw Error(ErrorCode::BadInput, "no such tensor").at(path()).got(name);
  const WeightInfo& info = weights_[index];
  const std::byte* data = file_->bytes().data() + offsets_[index];
  uintptr_t alignment = std::max(1, dtype_bits(info.dtype) / 8);
  if (reinterpret_cast<uintptr_t>(data) % alignment == 0) {
    return TensorView(data, info.dtype, info.extents);
  }
  std::lock_guard lock(aligned_mutex_);
  Tensor& copy = aligned_[index];
  if (!copy.view().defined()) {
    copy = Tensor::make(info.dtype, info.extents);
    std::memcpy(copy.view().data, data, info.bytes());
  }
  return copy.view();
}

}  // namespace tenon::frontends
