#include "frontends/safetensors/safetensors_header.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <unordered_set>

#include "base/checked.h"
#include "base/limits.h"
#include "data/json.h"
#include "frontends/safetensors/safetensors_dtype.h"

namespace tenon::frontends {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// The JSON parser buffers one token at a time, blanks before it included. Bounding tokens first
// bounds the memory that any header can cost.
void check_token_lengths(std::string_view text) {
  constexpr int64_t kMostBare = 1 << 16;  // a number, a literal or a run of blanks
  int64_t run = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (in_string && c == '\\') {
      ++i;
      run += 2;
    } else if (c == '"') {
      in_string = !in_string;
      run = 0;
    } else if (!in_string &&
               (c == ',' || c == ':' || c == '{' || c == '}' || c == '[' || c == ']')) {
      run = 0;
    } else {
      ++run;
    }
    int64_t most = in_string ? kLimits.safetensors_string_bytes : kMostBare;
    if (run > most) {
      throw Error(ErrorCode::BadInput,
                  in_string ? "string is too long" : "token or blanks too long")
          .at("byte " + std::to_string(i))
          .accepted("at most " + std::to_string(most) + " bytes");
    }
  }
}

// Keeps the last axes: drops leading axes of size 1 until the rank fits.
Extents squeeze(std::span<const int64_t> dims) {
  size_t excess = dims.size() > kMaxRank ? dims.size() - kMaxRank : 0;
  Extents extents;
  for (int64_t dim : dims) {
    if (excess > 0 && dim == 1) {
      --excess;
    } else if (extents.rank() == kMaxRank) {
      throw Error(ErrorCode::Unsupported, "tensor rank")
          .got(std::to_string(dims.size()))
          .accepted("at most 8 dimensions that are not 1");
    } else {
      extents.push_back(dim);
    }
  }
  return extents;
}

class HeaderReader : public data::JsonEvents {
 public:
  HeaderReader(SafetensorsHeader& header, int64_t data_bytes)
      : header_(header), data_bytes_(data_bytes) {}

  void on_null() override { refuse_value("null"); }
  void on_bool(bool value) override { refuse_value(value ? "true" : "false"); }
  void on_double(double value) override { refuse_value(std::to_string(value)); }
  void on_uint(uint64_t value) override { refuse_value(std::to_string(value)); }
  void on_int(int64_t value) override {
    if (place_ != Place::List || value < 0) refuse_value(std::to_string(value));
    size_t most = field_ == Field::Shape ? static_cast<size_t>(kLimits.tensor_rank) : 2;
    if (numbers_.size() == most) {
      throw error(field_ == Field::Shape ? "tensor rank is too high" : "too many offsets")
          .accepted("at most " + std::to_string(most) + " numbers");
    }
    numbers_.push_back(value);
  }
  void on_string(std::string& value) override {
    if (place_ == Place::Metadata) return;
    if (place_ != Place::Tensor || field_ != Field::DType) refuse_value("a string");
    dtype_ = value;
  }
  void on_key(std::string& key) override;
  void on_object_begin() override;
  void on_object_end() override;
  void on_array_begin() override {
    bool is_list = place_ == Place::Tensor && (field_ == Field::Shape || field_ == Field::Offsets);
    if (!is_list) refuse_value("an array");
    place_ = Place::List;
    numbers_.clear();
  }
  void on_array_end() override {
    place_ = Place::Tensor;
    (field_ == Field::Shape ? shape_ : offsets_) = numbers_;
  }

 private:
  enum class Place { Start, Top, Metadata, Tensor, List, End };
  enum class Field { None, DType, Shape, Offsets };

  // Where the reader is, in the words of the file.
  Error error(std::string_view problem) const {
    Error made(ErrorCode::BadInput, problem);
    if (place_ == Place::Start) return made;
    made.at(place_ == Place::Metadata || name_ == "__metadata__" ? "metadata" : "tensor " + name_);
    if (place_ == Place::Metadata) made.at(key_);
    if (field_ == Field::DType) made.at("dtype");
    if (field_ == Field::Shape) made.at("shape");
    if (field_ == Field::Offsets) made.at("data_offsets");
    return made;
  }
  [[noreturn]] void refuse_value(std::string_view got) const {
    std::string_view accepted = "an object";
    if (place_ == Place::Metadata) accepted = "text";
    if (place_ == Place::Tensor)
      accepted = field_ == Field::DType ? "the name of a type" : "a list";
    if (place_ == Place::List) accepted = "a whole number, 0 or more";
    throw error("value of the wrong kind").got(got).accepted(accepted);
  }
  // Calls what does not know the tensor, and names it in its errors.
  template <class F>
  auto located(F&& call) const {
    try {
      return call();
    } catch (Error& problem) {
      problem.within("tensor " + name_);
      throw;
    }
  }
  void check_name(const std::string& name) const;
  void add_tensor();
  int64_t checked_bytes(const SafetensorsType& type) const;

  SafetensorsHeader& header_;
  int64_t data_bytes_, total_bytes_ = 0;
  Place place_ = Place::Start;
  Field field_ = Field::None;
  bool seen_[4] = {};
  std::string name_, key_, dtype_;
  std::vector<int64_t> numbers_, shape_, offsets_;
  std::unordered_set<std::string> metadata_keys_;
  bool seen_metadata_ = false;
};

void HeaderReader::check_name(const std::string& name) const {
  bool has_nul = name.find('\0') != name.npos;
  bool too_long = static_cast<int64_t>(name.size()) > kLimits.tensor_name_bytes;
  if (!name.empty() && !has_nul && !too_long) return;
  throw Error(ErrorCode::BadInput, "tensor name is empty, too long or contains a NUL byte")
      .at("tensor number " + std::to_string(header_.weights.size()))
      .got(std::to_string(name.size()) + " bytes")
      .accepted("1 to " + std::to_string(kLimits.tensor_name_bytes) + " bytes");
}

void HeaderReader::on_key(std::string& key) {
  if (place_ == Place::Top) {
    check_name(key);
    name_ = std::move(key);
    return;
  }
  if (place_ == Place::Metadata) {
    key_ = std::move(key);
    bool is_new = metadata_keys_.insert(key_).second;
    if (!is_new) throw error("key appears twice");
    if (static_cast<int64_t>(metadata_keys_.size()) > kLimits.safetensors_metadata) {
      throw error("too many metadata entries")
          .accepted("at most " + std::to_string(kLimits.safetensors_metadata));
    }
    return;
  }
  field_ = Field::None;
  if (key == "dtype") field_ = Field::DType;
  if (key == "shape") field_ = Field::Shape;
  if (key == "data_offsets") field_ = Field::Offsets;
  if (field_ == Field::None) {
    throw error("unknown field").got(key).accepted("dtype, shape, data_offsets");
  }
  if (seen_[static_cast<int>(field_)]) throw error("field appears twice");
  seen_[static_cast<int>(field_)] = true;
}

void HeaderReader::on_object_begin() {
  if (place_ == Place::Start) {
    place_ = Place::Top;
  } else if (place_ != Place::Top) {
    refuse_value("an object");
  } else if (name_ == "__metadata__") {
    if (seen_metadata_) throw error("appears twice");
    seen_metadata_ = true;
    place_ = Place::Metadata;
  } else {
    place_ = Place::Tensor;
    std::fill(std::begin(seen_), std::end(seen_), false);
  }
}

void HeaderReader::on_object_end() {
  if (place_ == Place::Tensor) add_tensor();
  field_ = Field::None;
  place_ = place_ == Place::Top ? Place::End : Place::Top;
}

// The tensor's bytes, after comparing its range, shape and type with each other and with the file.
int64_t HeaderReader::checked_bytes(const SafetensorsType& type) const {
  int64_t begin = offsets_[0], end = offsets_[1];
  if (begin > end) {
    throw error("range ends before it begins")
        .at("data_offsets")
        .got("[" + std::to_string(begin) + ", " + std::to_string(end) + "]");
  }
  if (end > data_bytes_) {
    throw error("range ends after the file: truncated, or the header is wrong")
        .at("data_offsets")
        .got("have " + std::to_string(data_bytes_) + " bytes of data, need " + std::to_string(end));
  }
  int64_t bits = located(
      [&] { return checked_mul<int64_t>(checked_product(shape_, "shape"), type.bits, "shape"); });
  if (bits % 8 != 0)
    throw error("values do not fill whole bytes").got(std::to_string(bits) + " bits");
  if (bits / 8 != end - begin) {
    throw error("shape and type do not agree with the range")
        .got(std::to_string(end - begin) + " bytes")
        .accepted(std::to_string(bits / 8) + " bytes");
  }
  return bits / 8;
}

void HeaderReader::add_tensor() {
  field_ = Field::None;
  if (!seen_[1] || !seen_[2] || !seen_[3]) {
    throw error("field is missing").accepted("dtype, shape and data_offsets");
  }
  if (offsets_.size() != 2) throw error("data_offsets must be two numbers");
  const SafetensorsType* type = find_safetensors_type(dtype_);
  if (!type) throw error("unknown dtype").got(dtype_).accepted(safetensors_type_names());
  // The sum bounds the number of tensors over one range before any table grows.
  total_bytes_ = checked_add(total_bytes_, checked_bytes(*type), "tensor bytes");
  if (!type->reason.empty()) {
    Error unsupported(ErrorCode::Unsupported, type->reason);
    throw unsupported.at("tensor " + name_).got(dtype_);
  }
  if (total_bytes_ > data_bytes_) {
    throw error("tensors overlap: together they need more bytes than the file has")
        .got("have " + std::to_string(data_bytes_) + ", need " + std::to_string(total_bytes_));
  }
  if (static_cast<int64_t>(header_.weights.size()) == kLimits.safetensors_tensors) {
    throw Error(ErrorCode::BadInput, "too many tensors in one file")
        .accepted("at most " + std::to_string(kLimits.safetensors_tensors));
  }
  header_.weights.push_back({name_, type->dtype, located([&] { return squeeze(shape_); })});
  header_.offsets.push_back(offsets_[0]);
}

// Puts the tensors in the order of their bytes.
void sort_by_offset(SafetensorsHeader& header) {
  auto end_of = [&](uint32_t i) { return header.offsets[i] + header.weights[i].bytes(); };
  std::vector<uint32_t> order(header.weights.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    if (header.offsets[a] != header.offsets[b]) return header.offsets[a] < header.offsets[b];
    // Empty tensors share an offset; the file's order keeps the result the same everywhere.
    return end_of(a) != end_of(b) ? end_of(a) < end_of(b) : a < b;
  });
  for (uint32_t i = 0; i < order.size(); ++i) {
    // Follows the cycle in place: a second table would double the memory.
    uint32_t at = i;
    while (order[at] != i) {
      uint32_t from = order[at];
      std::swap(header.weights[at], header.weights[from]);
      std::swap(header.offsets[at], header.offsets[from]);
      order[at] = at;
      at = from;
    }
    order[at] = at;
  }
}

void check_coverage(const SafetensorsHeader& header, int64_t data_bytes) {
  int64_t expected = 0;
  for (size_t i = 0; i < header.weights.size(); ++i) {
    if (header.offsets[i] != expected) {
      throw Error(ErrorCode::BadInput, header.offsets[i] > expected
                                           ? "gap between tensors: bytes that belong to no tensor"
                                           : "tensor overlaps the one before it")
          .at("tensor " + header.weights[i].name)
          .got("begins at " + std::to_string(header.offsets[i]))
          .accepted(std::to_string(expected));
    }
    expected += header.weights[i].bytes();
  }
  if (expected != data_bytes) {
    throw Error(ErrorCode::BadInput, "bytes after the last tensor")
        .at("data byte " + std::to_string(expected))
        .got(std::to_string(data_bytes - expected) + " bytes more");
  }
}

void index_names(SafetensorsHeader& header) {
  header.by_name.resize(header.weights.size());
  std::iota(header.by_name.begin(), header.by_name.end(), 0u);
  const std::vector<WeightInfo>& weights = header.weights;
  std::sort(header.by_name.begin(), header.by_name.end(),
            [&](uint32_t a, uint32_t b) { return weights[a].name < weights[b].name; });
  for (size_t i = 1; i < weights.size(); ++i) {
    const std::string& name = weights[header.by_name[i]].name;
    if (name != weights[header.by_name[i - 1]].name) continue;
    throw Error(ErrorCode::BadInput, "tensor name appears twice").at("tensor " + name);
  }
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, int64_t data_bytes) {
  // The format pads with blanks; they are no part of the JSON text.
  size_t begin = 0, end = text.size();
  while (begin < end && is_blank(text[begin])) ++begin;
  while (end > begin && is_blank(text[end - 1])) --end;
  std::string_view json = text.substr(begin, end - begin);
  SafetensorsHeader header;
  HeaderReader reader(header, data_bytes);
  try {
    check_token_lengths(json);
    data::parse_json_events(json, reader);
  } catch (Error& error) {
    error.within("header");
    throw;
  }
  sort_by_offset(header);
  index_names(header);
  check_coverage(header, data_bytes);
  return header;
}

}  // namespace tenon::frontends
