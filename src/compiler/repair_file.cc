#include "compiler/repair_file.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"

namespace tenon::compiler {
namespace {

// A list of steps is small; a larger file is something else.
constexpr int64_t kMostBytes = 16 << 20;

TypeChoice read_entry(const data::Json& entry, const std::string& place) {
  TypeChoice choice;
  choice.name = entry.at("name", place).as_string(place + ".name");
  const std::string& dtype = entry.at("dtype", place).as_string(place + ".dtype");
  std::optional<DType> type = dtype_from_name(dtype);
  if (!type || (*type != DType::F32 && *type != DType::BF16 && *type != DType::F16)) {
    throw Error(ErrorCode::BadInput, "no type that a step can be kept in")
        .at(place + ".dtype")
        .got(dtype)
        .accepted("f32, bf16 or f16");
  }
  choice.dtype = *type;
  choice.reason = "repair";
  return choice;
}

}  // namespace

std::vector<TypeChoice> read_repair_file(const std::string& path) {
  data::Json document = data::read_json_file(path, kMostBytes);
  std::vector<TypeChoice> choices;
  Problems problems;
  try {
    const data::Json::Array& list = document.at("types", "$").as_array("$.types");
    for (size_t i = 0; i < list.size(); ++i) {
      try {
        choices.push_back(read_entry(list[i], "$.types[" + std::to_string(i) + "]"));
      } catch (Error& error) {
        problems.add(error.within(path));
      }
    }
  } catch (Error& error) {
    error.within(path);
    throw;
  }
  problems.throw_if_any();
  return choices;
}

void check_repair(const std::vector<TypeChoice>& repair, const plan::Plan& plan,
                  const std::string& path) {
  std::set<std::string> known;
  for (const plan::Stage& stage : plan.stages) {
    for (const plan::ValueInfo& value : stage.values)
      known.insert(value.names.begin(), value.names.end());
  }
  Problems problems;
  for (const TypeChoice& choice : repair) {
    if (known.count(choice.name)) continue;
    std::vector<std::string> names(known.begin(), known.end());
    std::vector<std::string> nearest = nearest_names(choice.name, names);
    problems.add(
        Error(ErrorCode::BadInput, "the plan has nothing of that name")
            .at(path)
            .got(choice.name)
            .accepted(nearest.empty() ? "names of the plan (tenon inspect)" : join(nearest, ", ")));
  }
  problems.throw_if_any();
}

}  // namespace tenon::compiler
