// How the stages of Segment Anything hang together, and the pictures and prompts that prove a plan.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "models/sam.h"

namespace tenon::models {
namespace {

constexpr int64_t kMostPrompts = 4096, kMostPoints = 1024;
constexpr int64_t kMostSide = 1 << 16;  // of a picture
// A pixel of the square is made of twice as many as the picture is larger, and one more; the first
// stands before them.
constexpr int64_t kMostTaps = 4096;
constexpr int64_t kPictures = 2, kPrompts = 4;

// The same numbers on every machine.
class Noise {
 public:
  explicit Noise(uint64_t seed) : state_(seed) {}
  // In [0, 1).
  float next() {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<float>(state_ >> 40) * 0x1p-24f;
  }

 private:
  uint64_t state_;
};

// A flat ground with ellipses and boxes of other colours and a little grain, normalised as photos
// are; the lower fifth is left zero, as padding is.
Tensor make_picture(int64_t side, uint64_t seed) {
  Noise noise(seed);
  Tensor picture = Tensor::make_zeros(DType::F32, {side, side, 3});
  int64_t filled = side - side / 5;
  float* pixels = picture.as<float>();
  auto colour = [&] { return 4 * noise.next() - 2; };
  float ground[] = {colour(), colour(), colour()};
  for (int64_t i = 0; i < filled * side * 3; ++i)
    pixels[i] = ground[i % 3] + 0.3f * (noise.next() - 0.5f);
  for (int shape = 0; shape < 6; ++shape) {
    auto size = static_cast<float>(side);
    float x = size * noise.next(), y = size * noise.next();
    float half_w = size * (0.05f + 0.2f * noise.next()), half_h = half_w * (0.5f + noise.next());
    float c[] = {colour(), colour(), colour()};
    for (int64_t row = 0; row < filled; ++row) {
      for (int64_t column = 0; column < side; ++column) {
        float u = (static_cast<float>(column) - x) / half_w;
        float v = (static_cast<float>(row) - y) / half_h;
        bool inside = shape % 2 ? std::max(std::fabs(u), std::fabs(v)) < 1 : u * u + v * v < 1;
        if (inside) std::copy(c, c + 3, pixels + (row * side + column) * 3);
      }
    }
  }
  return picture;
}

CheckInput given(Tensor value) {
  CheckInput input;
  input.value = std::move(value);
  return input;
}

CheckInput from_call(int call) {
  CheckInput input;
  input.call = call;
  return input;
}

// Points [prompts, labels.size(), 2] all over the picture, and their labels.
void add_points(CheckCall& call, int64_t prompts, std::span<const SamPointLabel> labels,
                Noise& noise) {
  auto points = static_cast<int64_t>(labels.size());
  Tensor at = Tensor::make(DType::F32, {prompts, points, 2});
  Tensor kinds = Tensor::make(DType::I32, {prompts * points});
  for (int64_t i = 0; i < prompts * points; ++i) {
    SamPointLabel label = labels[i % points];
    bool padding = label == SamPointLabel::Padding;
    for (int64_t axis = 0; axis < 2; ++axis)
      at.as<float>()[2 * i + axis] = padding ? 0 : noise.next();
    kinds.as<int32_t>()[i] = static_cast<int32_t>(label);
  }
  call.inputs.push_back(given(std::move(at)));
  call.inputs.push_back(given(std::move(kinds)));
}

Tensor make_mask_logits(int64_t prompts, int64_t side, Noise& noise) {
  Tensor logits = Tensor::make(DType::F32, {prompts, side, side});
  for (int64_t prompt = 0; prompt < prompts; ++prompt) {
    float x = noise.next(), y = noise.next(), radius = 0.1f + 0.3f * noise.next();
    for (int64_t i = 0; i < side * side; ++i) {
      float u = static_cast<float>(i % side) / static_cast<float>(side) - x;
      float v = static_cast<float>(i / side) / static_cast<float>(side) - y;
      logits.as<float>()[prompt * side * side + i] = 30 * (radius - std::sqrt(u * u + v * v));
    }
  }
  return logits;
}

StageChecks make_checks(const SamConfig& c) {
  using enum SamPointLabel;
  StageChecks checks;
  checks.origin = std::to_string(kPictures) + " generated pictures";
  checks.sign_outputs = {"masks"};
  for (int picture = 0; picture < kPictures; ++picture) {
    Noise noise(77 + static_cast<uint64_t>(picture));
    int encoder = static_cast<int>(checks.calls.size());
    CheckCall encode{"image_encoder", "picture " + std::to_string(picture + 1), {}};
    encode.inputs.push_back(given(make_picture(c.image, 5 + static_cast<uint64_t>(picture))));
    checks.calls.push_back(std::move(encode));
    const std::vector<SamPointLabel> prompts[] = {{Foreground, Padding},
                                                  {Foreground, Background, Foreground, Padding},
                                                  {BoxFirst, BoxLast},
                                                  {Foreground, BoxFirst, BoxLast}};
    const char* names[] = {"a click", "three points", "a box", "a click in a box"};
    for (size_t i = 0; i < std::size(prompts); ++i) {
      CheckCall call{"mask_decoder", names[i], {}};
      call.inputs.push_back(from_call(encoder));
      add_points(call, kPrompts, prompts[i], noise);
      checks.calls.push_back(std::move(call));
    }
    CheckCall masked{"mask_decoder_with_mask", "a click and a mask", {}};
    masked.inputs.push_back(from_call(encoder));
    add_points(masked, kPrompts, prompts[0], noise);
    masked.inputs.push_back(given(make_mask_logits(kPrompts, 4 * c.grid, noise)));
    checks.calls.push_back(std::move(masked));
  }
  return checks;
}

// Products of the encoder over all cells, attention over whole pictures, and the decoder's share of
// one prompt: rough, for telling people how long a proof takes.
double flops_of(const SamConfig& c) {
  auto cells = static_cast<double>(c.grid * c.grid), dim = static_cast<double>(c.dim);
  double block = 2 * cells * dim * (4 * dim + 2 * static_cast<double>(c.ffn));
  double whole = static_cast<double>(std::count(c.global.begin(), c.global.end(), true));
  double encoder = static_cast<double>(c.global.size()) * block + whole * 4 * cells * cells * dim;
  auto width = static_cast<double>(c.width);
  double decoder = cells * width * width * 14;
  return kPictures * (encoder + 5 * kPrompts * decoder);
}

data::Json describe(const SamConfig& c) {
  data::Json json = data::Json::object(), mean = data::Json::array(),
             deviation = data::Json::array();
  for (double value : kSamMean) mean.push_back(value);
  for (double value : kSamDeviation) deviation.push_back(value);
  json.set("image_size", c.image).set("grid", c.grid).set("width", c.width).set("masks", c.masks);
  json.set("mask_size", 4 * c.grid).set("mask_threshold", 0.0);
  json.set("pixel_mean", std::move(mean)).set("pixel_deviation", std::move(deviation));
  json.set("blocks", static_cast<int64_t>(c.global.size())).set("dim", c.dim).set("heads", c.heads);
  json.set("max_prompts", kMostPrompts).set("max_points", kMostPoints);
  return json;
}

}  // namespace

StageChecks sam_checks_in(const data::Json& description, std::span<const CheckSize> sizes) {
  int64_t image = description.get_int("image_size", 0), grid = description.get_int("grid", 0);
  if (image < 1 || grid < 1 || image > kMostSide || grid > image) {
    throw Error(ErrorCode::BadInput, "the plan does not describe a Segment Anything model")
        .at("model")
        .got(description.dump());
  }
  StageChecks checks;
  checks.origin = "a generated picture";
  checks.sign_outputs = {"masks"};
  CheckCall encode{"image_encoder", "a picture", {}};
  encode.inputs.push_back(given(make_picture(image, 5)));
  checks.calls.push_back(std::move(encode));
  Noise noise(77);
  for (const CheckSize& size : sizes) {
    // Foreground and background in turns, then the padding of prompts without a box.
    std::vector<SamPointLabel> labels;
    for (int64_t i = 0; i < size.points; ++i)
      labels.push_back(i % 2 ? SamPointLabel::Background : SamPointLabel::Foreground);
    if (size.points > 1) labels.back() = SamPointLabel::Padding;
    std::string what =
        std::to_string(size.prompts) + " x " + std::to_string(size.points) + " points";
    for (const char* stage : {"mask_decoder", "mask_decoder_with_mask"}) {
      CheckCall call{stage, what, {}};
      call.inputs.push_back(from_call(0));
      add_points(call, size.prompts, labels, noise);
      if (stage == std::string_view("mask_decoder_with_mask"))
        call.inputs.push_back(given(make_mask_logits(size.prompts, 4 * grid, noise)));
      checks.calls.push_back(std::move(call));
    }
  }
  return checks;
}

StagedModelInfo sam_stages(const SamConfig& config) {
  StagedModelInfo info;
  info.pipeline = "sam";
  info.description = describe(config);
  info.symbols = {{"prompts", 1, kMostPrompts},
                  {"points", 0, kMostPoints},
                  {"chosen", 0, kMostPrompts * config.masks},
                  {"picture_h", 1, kMostSide},
                  {"picture_w", 1, kMostSide},
                  {"taps_h", 2, kMostTaps},
                  {"taps_w", 2, kMostTaps},
                  {"words", 1, kMostSide / 32}};
  for (const char* decoder : {"mask_decoder", "mask_decoder_with_mask"})
    info.feeds.push_back({"image_encoder", "embedding", decoder, "embedding"});
  info.feeds.push_back({"mask_decoder", "masks", "mask_post", "masks"});
  info.feeds.push_back({"image_prep", "pixels", "image_encoder", "pixels"});
  info.make_checks = [config] { return make_checks(config); };
  info.check_flops = flops_of(config);
  return info;
}

}  // namespace tenon::models
