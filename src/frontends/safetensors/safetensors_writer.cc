#include "frontends/safetensors/safetensors_writer.h"

#include <array>

#include "base/checked.h"
#include "base/file.h"
#include "data/json.h"
#include "frontends/safetensors/safetensors_dtype.h"

namespace tenon::frontends {
namespace {

data::Json describe(const NamedTensor& tensor, int64_t offset) {
  if (!tensor.view.is_contiguous()) {
    throw Error(ErrorCode::Usage, "tensor is not contiguous").at("tensor " + tensor.name);
  }
  std::optional<std::string_view> type = safetensors_type_name(tensor.view.dtype);
  if (!type) {
    throw Error(ErrorCode::Unsupported, "safetensors has no such type")
        .at("tensor " + tensor.name)
        .got(dtype_name(tensor.view.dtype))
        .accepted(safetensors_type_names());
  }
  data::Json shape = data::Json::array(), range = data::Json::array();
  for (int64_t extent : tensor.view.extents) shape.push_back(extent);
  range.push_back(offset);
  range.push_back(checked_add(offset, tensor.view.bytes(), "data_offsets"));
  data::Json entry = data::Json::object();
  entry.set("dtype", *type).set("shape", std::move(shape)).set("data_offsets", std::move(range));
  return entry;
}

std::string make_header(const std::vector<NamedTensor>& tensors,
                        const SafetensorsMetadata& metadata) {
  data::Json::Object header;
  if (!metadata.empty()) {
    data::Json::Object entries;
    for (const auto& [name, text] : metadata) entries.emplace_back(name, text);
    header.emplace_back("__metadata__", std::move(entries));
  }
  int64_t offset = 0;
  for (const NamedTensor& tensor : tensors) {
    header.emplace_back(tensor.name, describe(tensor, offset));
    offset += tensor.view.bytes();
  }
  std::string text = data::Json(std::move(header)).dump();
  text.resize(round_up(8 + static_cast<int64_t>(text.size()), 64) - 8, ' ');
  return text;
}

}  // namespace

void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const SafetensorsMetadata& metadata) {
  std::string header = make_header(tensors, metadata);
  std::array<std::byte, 8> length;
  for (int i = 0; i < 8; ++i) length[i] = static_cast<std::byte>(header.size() >> (8 * i) & 255);
  AtomicFile file(path);
  file.append(length);
  file.append(header);
  for (const NamedTensor& tensor : tensors) file.append(tensor.view.byte_span());
  file.commit();
}

}  // namespace tenon::frontends
