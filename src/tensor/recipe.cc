#include "tensor/recipe.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/hash.h"
#include "base/thread_pool.h"
#include "tensor/float_formats.h"

namespace tenon {

struct Recipe::Node {
  Kind kind;
  DType dtype;
  Extents extents;
  std::vector<Recipe> parts;
  std::string name;                       // Source
  std::shared_ptr<const Tensor> literal;  // Literal
  int axis = 0;                           // Slice, Concat
  int64_t begin = 0, end = 0;             // Slice
  std::vector<int64_t> axes;              // Permute
  QuantSpec quant = {};                   // Quantise
  QuantPart part = QuantPart::Codes;
};

namespace {

// Whether the value is rounded to a type on its way: then it must be, before another type follows.
bool rounds_inside(const Recipe& recipe) {
  if (recipe.kind() == Recipe::Kind::Cast || recipe.kind() == Recipe::Kind::Add) return true;
  return std::any_of(recipe.parts().begin(), recipe.parts().end(), rounds_inside);
}

std::string_view part_name(QuantPart part) {
  return part == QuantPart::Codes ? "codes" : part == QuantPart::Scales ? "scales" : "zeros";
}

template <class T>
void add_into(const TensorView& a, const TensorView& b, const TensorView& sum) {
  process_thread_pool().parallel_for(sum.count(), 1 << 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      sum.as<T>()[i] = from_float<T>(to_float(a.as<T>()[i]) + to_float(b.as<T>()[i]));
    }
  });
}

// All contiguous, of one float type. A sum of two 16-bit floats is exact enough in f32 that one
// rounding is the IEEE result.
void add_into(DType dtype, const TensorView& a, const TensorView& b, const TensorView& sum) {
  if (dtype == DType::F32) return add_into<float>(a, b, sum);
  if (dtype == DType::F16) return add_into<f16_t>(a, b, sum);
  return add_into<bf16_t>(a, b, sum);
}

}  // namespace

Recipe Recipe::source(const WeightInfo& info) {
  Node node{Kind::Source, info.dtype, info.extents, {}, info.name, nullptr, 0, 0, 0, {}};
  return Recipe(std::make_shared<const Node>(std::move(node)));
}

Recipe Recipe::literal(std::shared_ptr<const Tensor> value) {
  Node node{Kind::Literal, value->dtype(), value->extents(), {}, {}, value, 0, 0, 0, {}};
  return Recipe(std::make_shared<const Node>(std::move(node)));
}

Recipe Recipe::slice(Recipe of, int axis, int64_t begin, int64_t end) {
  TENON_CHECK(axis >= 0 && axis < of.extents().rank() && begin >= 0 && begin <= end &&
              end <= of.extents()[axis]);
  Extents extents = of.extents();
  extents[axis] = end - begin;
  Node node{Kind::Slice, of.dtype(), extents, {of}, {}, nullptr, axis, begin, end, {}};
  return Recipe(std::make_shared<const Node>(std::move(node)));
}

Recipe Recipe::concat(std::vector<Recipe> parts, int axis) {
  TENON_CHECK(!parts.empty());
  if (parts.size() == 1) return parts[0];
  Extents extents = parts[0].extents();
  extents[axis] = 0;
  for (const Recipe& part : parts) {
    TENON_CHECK(part.dtype() == parts[0].dtype() && part.extents().rank() == extents.rank());
    for (int i = 0; i < extents.rank(); ++i)
      TENON_CHECK(i == axis || part.extents()[i] == extents[i]);
    extents[axis] += part.extents()[axis];
  }
  DType dtype = parts[0].dtype();
  Node node{Kind::Concat, dtype, extents, std::move(parts), {}, nullptr, axis, 0, 0, {}};
  return Recipe(std::make_shared<const Node>(std::move(node)));
}

Recipe Recipe::permute(Recipe of, std::vector<int64_t> axes) {
  TENON_CHECK(static_cast<int>(axes.size()) == of.extents().rank());
  Extents extents = of.extents();
  for (int i = 0; i < extents.rank(); ++i) extents[i] = of.extents()[static_cast<int>(axes[i])];
  Node node{Kind::Permute, of.dtype(), extents, {of}, {}, nullptr, 0, 0, 0, std::move(axes)};
  return Recipe(std::make_shared<const Node>(std::move(node)));
}

Recipe Recipe::reshape(Recipe of, const Extents& extents) {
  TENON_CHECK(of.extents().count() == extents.count());
  Node node{Kind::Reshape, of.dtype(), extents, {of}, {}, nullptr, 0, 0, 0, {}};
  return Recipe(std::make_shared<const Node>(std::move(node)));
}

Recipe Recipe::cast(Recipe of, DType dtype) {
  if (of.dtype() == dtype) return of;
  Extents extents = of.extents();
  Node node{Kind::Cast, dtype, extents, {std::move(of)}, {}, nullptr, 0, 0, 0, {}};
  return Recipe(std::make_shared<const Node>(std::move(node)));
}

Recipe Recipe::add(Recipe a, Recipe b) {
  DType dtype = a.dtype();
  Extents extents = a.extents();
  TENON_CHECK(dtype == b.dtype() && extents == b.extents());
  TENON_CHECK(dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16);
  Node node{Kind::Add, dtype, extents, {std::move(a), std::move(b)}, {}, nullptr, 0, 0, 0, {}};
  return Recipe(std::make_shared<const Node>(std::move(node)));
}

Recipe Recipe::quantise(Recipe of, const QuantSpec& spec, QuantPart part) {
  TENON_CHECK(of.extents().rank() == 2 && (part != QuantPart::Zeros || spec.zero_points));
  int64_t out = of.extents()[0], in = of.extents()[1];
  bool codes = part == QuantPart::Codes;
  DType dtype = codes ? spec.codes : part == QuantPart::Scales ? spec.scales : DType::U8;
  Extents extents = codes ? code_extents(spec, out, in) : scale_extents(spec, out, in);
  Node node{Kind::Quantise, dtype, extents, {std::move(of)}, {}, nullptr, 0, 0, 0, {}};
  node.quant = spec;
  node.part = part;
  return Recipe(std::make_shared<const Node>(std::move(node)));
}

Recipe::Kind Recipe::kind() const {
  return node_->kind;
}
DType Recipe::dtype() const {
  return node_->dtype;
}
const Extents& Recipe::extents() const {
  return node_->extents;
}
const std::vector<Recipe>& Recipe::parts() const {
  return node_->parts;
}
const Tensor* Recipe::literal_value() const {
  return node_->literal.get();
}

const QuantSpec& Recipe::quant_spec() const {
  TENON_CHECK(kind() == Kind::Quantise);
  return node_->quant;
}
QuantPart Recipe::quant_part() const {
  TENON_CHECK(kind() == Kind::Quantise);
  return node_->part;
}

std::vector<std::string> Recipe::source_names() const {
  std::vector<std::string> names;
  if (kind() == Kind::Source) names.push_back(node_->name);
  for (const Recipe& part : node_->parts) {
    for (std::string& name : part.source_names()) {
      if (std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(std::move(name));
    }
  }
  return names;
}

std::string Recipe::to_string() const {
  auto inner = [&] { return node_->parts[0].to_string(); };
  switch (kind()) {
    case Kind::Source:
      return node_->name;
    case Kind::Literal:
      return "literal(" + to_hex(digest_of(node_->literal->view().byte_span())) + ")";
    case Kind::Slice:
      return "slice(" + inner() + "; axis " + std::to_string(node_->axis) + ", " +
             std::to_string(node_->begin) + ":" + std::to_string(node_->end) + ")";
    case Kind::Permute:
      return "permute(" + inner() + "; " + Extents::of(node_->axes).to_string() + ")";
    case Kind::Reshape:
      return "reshape(" + inner() + "; " + extents().to_string() + ")";
    case Kind::Cast:
      return "cast(" + inner() + "; " + std::string(dtype_name(dtype())) + ")";
    case Kind::Add:
      return "add(" + inner() + ", " + node_->parts[1].to_string() + ")";
    case Kind::Quantise:
      return "quantise(" + inner() + "; " + tenon::to_string(node_->quant) + "; " +
             std::string(part_name(node_->part)) + ")";
    case Kind::Concat:
      break;
  }
  std::string out = "concat(";
  for (size_t i = 0; i < node_->parts.size(); ++i)
    out += (i ? ", " : "") + node_->parts[i].to_string();
  return out + "; axis " + std::to_string(node_->axis) + ")";
}

Recipe Recipe::prefixed(const std::string& prefix) const {
  Node node = *node_;
  if (node.kind == Kind::Source) node.name = prefix + node.name;
  for (Recipe& part : node.parts) part = part.prefixed(prefix);
  return Recipe(std::make_shared<const Node>(std::move(node)));
}

std::optional<TensorView> Recipe::view(const WeightSource& source) const {
  switch (kind()) {
    case Kind::Source:
      return source.view(node_->name);
    case Kind::Literal:
      return node_->literal->view();
    case Kind::Concat:
    case Kind::Cast:
    case Kind::Add:
    case Kind::Quantise:
      return std::nullopt;
    default:
      break;
  }
  std::optional<TensorView> inner = node_->parts[0].view(source);
  if (!inner) return std::nullopt;
  if (kind() == Kind::Slice) return inner->slice(node_->axis, node_->begin, node_->end);
  if (kind() == Kind::Permute) return inner->permuted(node_->axes);
  if (!inner->is_contiguous()) return std::nullopt;
  return inner->reshaped(extents());
}

void Recipe::evaluate_into(const WeightSource& source, const TensorView& out) const {
  TENON_CHECK(out.extents == extents());
  if (std::optional<TensorView> borrowed = view(source)) return copy_convert(*borrowed, out);
  if (kind() == Kind::Add) {
    auto contiguous = [&](const Recipe& part, Tensor& memory) {
      std::optional<TensorView> lent = part.view(source);
      if (lent && lent->is_contiguous()) return *lent;
      memory = part.evaluate(source);
      return memory.view();
    };
    Tensor left, right, sum = Tensor::make(dtype(), extents());
    add_into(dtype(), contiguous(node_->parts[0], left), contiguous(node_->parts[1], right), sum);
    return copy_convert(sum, out);
  }
  if (kind() == Kind::Cast && !rounds_inside(node_->parts[0])) {
    // copy_convert does the conversion: parts write straight into the typed output. An inner cast
    // or sum must round first, so it takes the general path below.
    return node_->parts[0].evaluate_into(source, out);
  }
  if (kind() == Kind::Concat) {
    int64_t at = 0;
    for (const Recipe& part : node_->parts) {
      int64_t end = at + part.extents()[node_->axis];
      part.evaluate_into(source, out.slice(node_->axis, at, end));
      at = end;
    }
    return;
  }
  Tensor inner = node_->parts[0].evaluate(source);
  if (kind() == Kind::Quantise) {
    OwnedQuantisedWeight quantised = round_to_nearest(inner, node_->quant);
    QuantPart part = node_->part;
    const Tensor& wanted = part == QuantPart::Codes    ? quantised.codes
                           : part == QuantPart::Scales ? quantised.scales
                                                       : quantised.zeros;
    TENON_CHECK(out.is_contiguous() && out.bytes() == wanted.view().bytes());
    std::memcpy(out.data, wanted.view().data, out.bytes());
    return;
  }
  TensorView result = inner.view();
  if (kind() == Kind::Slice) result = result.slice(node_->axis, node_->begin, node_->end);
  if (kind() == Kind::Permute) result = result.permuted(node_->axes);
  if (kind() == Kind::Reshape) result = result.reshaped(extents());
  copy_convert(result, out);
}

Tensor Recipe::evaluate(const WeightSource& source) const {
  Tensor result = Tensor::make(dtype(), extents());
  evaluate_into(source, result);
  return result;
}

}  // namespace tenon
