#include "ops/op.h"

#include "base/text.h"

namespace tenon::ops {
namespace {

struct Printer {
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(int64_t v) const { return std::to_string(v); }
  std::string operator()(double v) const {
    std::string text = format_double(v);
    return text.find_first_of(".eni") == text.npos ? text + ".0" : text;
  }
  std::string operator()(const std::string& v) const { return "\"" + v + "\""; }
  template <class T>
  std::string operator()(const std::vector<T>& values) const {
    std::string out = "[";
    for (size_t i = 0; i < values.size(); ++i) out += (i ? ", " : "") + Printer()(values[i]);
    return out + "]";
  }
};

}  // namespace

std::string to_string(const Attribute& value) {
  return std::visit(Printer(), value);
}

const ValueType& InferContext::input(size_t index) const {
  if (!has(index))
    throw Error(ErrorCode::BadInput, "input is missing").got("input " + std::to_string(index));
  return *inputs_[index];
}

void InferContext::set_output(size_t index, ValueType type) {
  TENON_CHECK(index < outputs_.size());
  outputs_[index] = std::move(type);
}

void InferContext::need_rank(size_t index, size_t rank, std::string_view argument) const {
  if (input(index).shape.size() != rank) {
    throw Error(ErrorCode::BadInput, "input has the wrong rank")
        .at(argument)
        .got(tenon::to_string(input(index)))
        .accepted("rank " + std::to_string(rank));
  }
}

void InferContext::need_float(size_t index, std::string_view argument) const {
  if (!is_float(input(index).dtype)) {
    throw Error(ErrorCode::BadInput, "input must be a float type")
        .at(argument)
        .got(tenon::to_string(input(index)));
  }
}

void InferContext::need_dtype(size_t index, DType dtype, std::string_view argument) const {
  if (input(index).dtype != dtype) {
    throw Error(ErrorCode::BadInput, "input has the wrong element type")
        .at(argument)
        .got(dtype_name(input(index).dtype))
        .accepted(dtype_name(dtype));
  }
}

void InferContext::need_equal(const Dim& a, const Dim& b, std::string_view what) const {
  if (a.is_constant() && b.is_constant() && a.constant() != b.constant()) {
    throw Error(ErrorCode::BadInput, "sizes disagree")
        .at(what)
        .got(a.to_string() + " and " + b.to_string());
  }
}

void Catalogue::add(OpDef def) {
  for (std::string_view reserved : kReservedNames) {
    if (def.name == reserved) throw Error(ErrorCode::Usage, "op name is reserved").got(def.name);
  }
  if (find(def.name, def.version))
    throw Error(ErrorCode::Usage, "op is defined twice").got(def.name);
  ops_.push_back(std::move(def));
}

const OpDef* Catalogue::find(std::string_view name, int version) const {
  for (const OpDef& op : ops_) {
    if (op.name == name && op.version == version) return &op;
  }
  return nullptr;
}

const OpDef& Catalogue::at(std::string_view name, int version) const {
  if (const OpDef* op = find(name, version)) return *op;
  std::vector<std::string> names;
  for (const OpDef& op : ops_) names.emplace_back(op.name);
  std::vector<std::string> nearest = nearest_names(name, names);
  throw Error(ErrorCode::Unsupported, "unknown op")
      .got(std::string(name) + " version " + std::to_string(version))
      .accepted(nearest.empty() ? join(names, ", ") : join(nearest, ", "));
}

DType dtype_attribute(std::string_view name, DType otherwise) {
  if (name.empty()) return otherwise;
  std::optional<DType> dtype = dtype_from_name(name);
  if (!dtype) throw Error(ErrorCode::BadInput, "unknown element type").got(name);
  return *dtype;
}

}  // namespace tenon::ops
