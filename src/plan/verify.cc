#include "plan/verify.h"

#include <algorithm>
#include <numeric>
#include <unordered_set>

#include "base/checked.h"
#include "base/limits.h"
#include "base/text.h"
#include "plan/plan_format.h"

namespace tenon::plan {
namespace {

void need_text(const std::string& text, std::string_view what) {
  if (is_valid_utf8(text)) return;
  throw Error(ErrorCode::BadInput, "text is not UTF-8").at(what).got(text);
}

void check_name(const std::string& name, std::string_view what) {
  if (name.empty() || static_cast<int64_t>(name.size()) > kLimits.tensor_name_bytes) {
    throw Error(ErrorCode::BadInput, "name is empty or too long").at(what);
  }
  need_text(name, what);
}

void check_constant(const Constant& constant, int64_t weights_bytes) {
  check_name(constant.name, "constant");
  std::string place = "constant " + constant.name;
  if (dtype_bits(constant.dtype) == 0) {
    throw Error(ErrorCode::BadInput, "constants of text are not possible").at(place);
  }
  int64_t count = checked_product(constant.extents.span(), place);
  int64_t bytes = dtype_bytes(constant.dtype, count);
  if (constant.bytes != bytes) {
    throw Error(ErrorCode::BadInput, "bytes do not agree with type and extents")
        .at(place)
        .got(std::to_string(constant.bytes))
        .accepted(std::to_string(bytes));
  }
  if (constant.offset < 0 || constant.offset % kConstantAlignment != 0) {
    throw Error(ErrorCode::BadInput, "offset is not a multiple of 256")
        .at(place)
        .got(std::to_string(constant.offset));
  }
  if (constant.offset > weights_bytes || bytes > weights_bytes - constant.offset) {
    throw Error(ErrorCode::BadInput, "ends after the weights")
        .at(place)
        .got("offset " + std::to_string(constant.offset) + ", " + std::to_string(bytes) + " bytes")
        .accepted("at most " + std::to_string(weights_bytes));
  }
}

void check_constants(const std::vector<Constant>& constants, int64_t weights_bytes) {
  std::unordered_set<std::string_view> names;
  for (const Constant& constant : constants) {
    check_constant(constant, weights_bytes);
    if (!names.insert(constant.name).second) {
      throw Error(ErrorCode::BadInput, "name appears twice").at("constant " + constant.name);
    }
  }
  std::vector<uint32_t> order(constants.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    if (constants[a].offset != constants[b].offset)
      return constants[a].offset < constants[b].offset;
    return constants[a].bytes < constants[b].bytes;
  });
  int64_t end = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const Constant& constant = constants[order[i]];
    if (constant.offset < end) {
      throw Error(ErrorCode::BadInput, "shares bytes with constant " + constants[order[i - 1]].name)
          .at("constant " + constant.name);
    }
    end = constant.offset + constant.bytes;
  }
}

bool has_value(const Stage& stage, const std::vector<int32_t>& indices, const std::string& name) {
  return std::any_of(indices.begin(), indices.end(), [&](int32_t index) {
    const std::vector<std::string>& names = stage.values[index].names;
    return std::find(names.begin(), names.end(), name) != names.end();
  });
}

void check_feed(const Plan& plan, const Feed& feed) {
  const Stage& from = find_stage(plan, feed.from_stage);
  const Stage& to = find_stage(plan, feed.to_stage);
  if (!has_value(from, from.outputs, feed.from_value)) {
    throw Error(ErrorCode::BadInput, "stage has no such output").at(from.name).got(feed.from_value);
  }
  if (!has_value(to, to.inputs, feed.to_value)) {
    throw Error(ErrorCode::BadInput, "stage has no such input").at(to.name).got(feed.to_value);
  }
}

template <class Check>
void each(size_t count, std::string_view what, Check&& check) {
  for (size_t i = 0; i < count; ++i) {
    try {
      check(i);
    } catch (Error& error) {
      error.within(std::string(what) + " " + std::to_string(i));
      throw;
    }
  }
}

}  // namespace

void verify(const Plan& plan, int64_t weights_bytes) {
  need_text(plan.architecture, "architecture");
  need_text(plan.name, "name");
  need_text(plan.pipeline, "pipeline");
  check_constants(plan.constants, weights_bytes);
  std::unordered_set<std::string_view> stages;
  each(plan.stages.size(), "stage", [&](size_t i) {
    check_name(plan.stages[i].name, "name");
    if (!stages.insert(plan.stages[i].name).second) {
      throw Error(ErrorCode::BadInput, "name appears twice").got(plan.stages[i].name);
    }
    verify_stage(plan, plan.stages[i]);
  });
  each(plan.feeds.size(), "feed", [&](size_t i) { check_feed(plan, plan.feeds[i]); });
}

}  // namespace tenon::plan
