#pragma once

#include <string>
#include <vector>

#include "data/json.h"

namespace tenon::bench {

// One call to be measured: an op with sizes and types. README.md lists the fields of each op.
struct Case {
  std::string model;  // "LLaMA-7B"
  std::string op;
  data::Json fields = data::Json::object();  // every field of the case, each with one value

  std::string name() const;  // "LLaMA-7B linear qkv f16 m=1 n=12288 k=4096"
  data::Json to_json() const;
  // A size: a whole number from `least` to 2^31. Throws ErrorCode::BadInput naming the field.
  int64_t size(std::string_view key, int64_t least = 1) const;
  int64_t size_or(std::string_view key, int64_t otherwise) const;
  std::string text(std::string_view key, std::string_view otherwise) const;
};

// A shapes file: {"model": NAME, "cases": [{"op": OP, FIELD: VALUE or [VALUES], ...}, ...]}. A case
// with lists stands for every combination of their values.
std::vector<Case> read_shapes(const data::Json& file);
// The inverse of Case::to_json.
Case read_case(const data::Json& json);

}  // namespace tenon::bench
