#include "pipelines/sam/sam_info.h"

#include "base/error.h"
#include "base/limits.h"

namespace tenon::sam {
namespace {

constexpr int64_t kMostSide = 1 << 14;

class Reader {
 public:
  explicit Reader(const data::Json& json) : json_(json) {}

  int64_t whole(std::string_view name, int64_t most) {
    int64_t value = json_.get_int(name, 0);
    if (value >= 1 && value <= most) return value;
    problems_.add(Error(ErrorCode::BadInput, "number is missing or out of range")
                      .at("plan.model")
                      .at(name)
                      .got(std::to_string(value))
                      .accepted("1 to " + std::to_string(most)));
    return 1;
  }
  std::array<float, 3> colour(std::string_view name, bool positive) {
    std::array<float, 3> colour = {1, 1, 1};
    const data::Json* list = json_.find(name);
    bool good = list && list->is_array() && list->as_array(name).size() == 3;
    for (size_t i = 0; good && i < 3; ++i) {
      const data::Json& value = list->as_array(name)[i];
      good = value.is_number();
      if (good) colour[i] = static_cast<float>(value.as_double(name));
      good = good && (!positive || colour[i] > 0);
    }
    if (!good) {
      problems_.add(Error(ErrorCode::BadInput, "not three numbers of a colour")
                        .at("plan.model")
                        .at(name)
                        .got(list ? list->dump() : "nothing"));
    }
    return colour;
  }
  void need(bool good, std::string_view problem) {
    if (!good) problems_.add(Error(ErrorCode::BadInput, problem).at("plan.model"));
  }
  void throw_if_any() const { problems_.throw_if_any(); }

 private:
  const data::Json& json_;
  Problems problems_;
};

}  // namespace

SamInfo read_sam_info(const plan::Plan& plan) {
  if (plan.pipeline != "sam") {
    throw Error(ErrorCode::WrongPlan, "the plan is no Segment Anything model")
        .at("pipeline")
        .got(plan.pipeline)
        .accepted("sam");
  }
  Reader reader(plan.model);
  SamInfo info;
  info.image_size = reader.whole("image_size", kMostSide);
  info.grid = reader.whole("grid", kMostSide);
  info.width = reader.whole("width", kLimits.hidden);
  info.masks = reader.whole("masks", 64);
  info.mask_size = reader.whole("mask_size", kMostSide);
  info.mask_threshold = plan.model.get_double("mask_threshold", 0);
  info.pixel_mean = reader.colour("pixel_mean", false);
  info.pixel_deviation = reader.colour("pixel_deviation", true);
  info.max_prompts = reader.whole("max_prompts", kLimits.symbol_most);
  info.max_points = reader.whole("max_points", kLimits.symbol_most);
  reader.need(info.grid <= info.image_size, "the grid is finer than the picture");
  reader.throw_if_any();
  return info;
}

}  // namespace tenon::sam
