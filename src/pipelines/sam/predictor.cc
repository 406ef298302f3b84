// Source: facebookresearch/segment-anything segment_anything/predictor.py, utils/onnx.py.
#include "pipelines/sam/predictor.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include "base/error.h"
#include "base/text.h"

namespace tenon::sam {
namespace {

// Rows of the decoder's table of labels.
enum class Label : int32_t { Padding, Background, Foreground, BoxFirst, BoxLast };

constexpr const char* kEncoder = "image_encoder";
constexpr const char* kDecoder = "mask_decoder";
constexpr const char* kMaskedDecoder = "mask_decoder_with_mask";
constexpr const char* kImagePrep = "image_prep";
constexpr const char* kMaskPost = "mask_post";

constexpr double kMostBeyond = 1e6;  // pixels; far beyond any picture, and exact in f32

// The decoder's inputs for prompts of one form.
struct Batch {
  std::vector<float> points;    // [prompts, tokens, 2], in [0, 1] of the encoder's square
  std::vector<int32_t> labels;  // [prompts * tokens]
  std::vector<float> masks;     // [prompts, mask_size, mask_size], or empty
};

int64_t tokens_of(const Prompt& prompt) {
  auto points = static_cast<int64_t>(prompt.points.size());
  // Points without a box have a padding point behind them.
  return points + (prompt.box ? 2 : points > 0 ? 1 : 0);
}

// Edges belong to the picture: a click on its last pixel may be given as width, height. A box may
// reach beyond it, as boxes of detectors do. NaN fails every comparison.
void check_places(const Prompt& prompt, Size picture) {
  auto width = static_cast<double>(picture.width), height = static_cast<double>(picture.height);
  std::string size = std::to_string(picture.width) + " x " + std::to_string(picture.height);
  for (const Point& point : prompt.points) {
    if (point.x >= 0 && point.x <= width && point.y >= 0 && point.y <= height) continue;
    throw Error(ErrorCode::BadInput, "a point lies outside the picture")
        .got(format_double(point.x) + "," + format_double(point.y))
        .accepted("places in the upright picture of " + size);
  }
  if (!prompt.box) return;
  const PromptBox& box = *prompt.box;
  bool ordered = box.x0 <= box.x1 && box.y0 <= box.y1;
  bool meets = box.x0 <= width && box.y0 <= height && box.x1 >= 0 && box.y1 >= 0;
  bool near = box.x0 >= -kMostBeyond && box.y0 >= -kMostBeyond && box.x1 <= kMostBeyond &&
              box.y1 <= kMostBeyond;
  if (ordered && meets && near) return;
  throw Error(ErrorCode::BadInput,
              ordered ? "a box lies outside the picture" : "the corners of a box are not in order")
      .got(format_double(box.x0) + "," + format_double(box.y0) + "," + format_double(box.x1) + "," +
           format_double(box.y1))
      .accepted("x0 <= x1, y0 <= y1, in part on the upright picture of " + size);
}

// The export's choice: below three tokens of points the masks of several, else the single one.
size_t best_mask(const Prompt& prompt, std::span<const float> scores) {
  bool several = tokens_of(prompt) < 3;
  if (!several || scores.size() == 1) return 0;
  return 1 + static_cast<size_t>(std::max_element(scores.begin() + 1, scores.end()) -
                                 (scores.begin() + 1));
}

std::vector<size_t> chosen_masks(MaskChoice choice, const Prompt& prompt,
                                 std::span<const float> scores) {
  if (choice == MaskChoice::Single) return {0};
  if (choice == MaskChoice::Best) return {best_mask(prompt, scores)};
  std::vector<size_t> several;
  for (size_t i = 1; i < scores.size(); ++i) several.push_back(i);
  return several;
}

void check_stage(runtime::Session& session, const char* name, size_t inputs, size_t outputs) {
  const plan::Stage& stage = session.stage(name).stage();
  if (stage.inputs.size() == inputs && stage.outputs.size() == outputs) return;
  throw Error(ErrorCode::WrongPlan, "the stage has other inputs or outputs").at(name);
}

}  // namespace

// Prompts of one form share a run: as many tokens each, all with a mask or none.
struct Predictor::Form {
  int64_t points = 0;
  bool box = false, mask = false;
  auto operator<=>(const Form&) const = default;
};

std::unique_ptr<Predictor> Predictor::open(std::shared_ptr<const plan::PlanFile> file,
                                           const runtime::SessionOptions& options) {
  read_sam_info(file->plan());
  auto session = runtime::Session::open(std::move(file), options);
  runtime::Session& borrowed = *session;
  return std::unique_ptr<Predictor>(new Predictor(std::move(session), borrowed));
}

Predictor::Predictor(runtime::Session& session) : Predictor(nullptr, session) {}

Predictor::Predictor(std::unique_ptr<runtime::Session> owned, runtime::Session& session)
    : owned_(std::move(owned)), session_(session), info_(read_sam_info(session.plan())) {
  check_stage(session, kEncoder, 1, 1);
  check_stage(session, kDecoder, 3, 2);
  check_stage(session, kMaskedDecoder, 4, 2);
}

void Predictor::set_size(Size picture) {
  picture_ = picture;
  Size fitted = fitted_size(picture_, info_.image_size);
  scale_x_ = static_cast<double>(fitted.width) / static_cast<double>(picture.width);
  scale_y_ = static_cast<double>(fitted.height) / static_cast<double>(picture.height);
  resampler_.emplace(info_, picture_);
  taps_y_ = Tensor(), taps_x_ = Tensor();
}

// On a GPU the picture goes up as it is; a CPU resizes in two passes, which is faster there.
bool Predictor::prepares_on_device(const imaging::Image& image) const {
  constexpr int64_t kMostSide = 1 << 16;
  return !session_.device().is_host() && session_.has_stage(kImagePrep) &&
         std::max(image.width, image.height) <= kMostSide;
}

runtime::StageInput Predictor::prepare(const imaging::Image& image) {
  Size size = fitted_size({image.width, image.height}, info_.image_size);
  Tensor taps_y = make_prep_taps(image.height, size.height, info_.image_size);
  Tensor taps_x = make_prep_taps(image.width, size.width, info_.image_size);
  auto* pixels = const_cast<uint8_t*>(image.pixels.data());
  runtime::StageInput inputs[] = {
      {TensorView(pixels, DType::U8, {image.height, image.width, 3}), false},
      {taps_y.view(), false},
      {taps_x.view(), false}};
  return {session_.stage(kImagePrep).run(std::span<const runtime::StageInput>(inputs))[0], true};
}

void Predictor::set_image(const imaging::Image& image) {
  embedding_ = TensorView();
  set_size({image.width, image.height});
  runtime::StageRunner& encoder = session_.stage(kEncoder);
  Tensor pixels;
  runtime::StageInput input;
  if (prepares_on_device(image)) {
    input = prepare(image);
  } else {
    pixels = make_pixels(image, info_);
    input = {pixels.view(), encoder.is_host()};
  }
  embedding_ = encoder.run(std::span<const runtime::StageInput>(&input, 1))[0];
  embedding_on_device_ = true;
  // One value is fetched so that the time this takes is the picture's own.
  encoder.to_host(TensorView(embedding_.data, embedding_.dtype, {1}));
}

EncodedImage Predictor::encoded() {
  TENON_CHECK(embedding_.defined());
  runtime::StageRunner& encoder = session_.stage(kEncoder);
  TensorView here = embedding_on_device_ ? encoder.to_host(embedding_) : embedding_;
  EncodedImage copy{Tensor::make(here.dtype, here.extents), picture_};
  copy_convert(here, copy.embedding);
  return copy;
}

void Predictor::set_encoded(const EncodedImage& encoded) {
  set_size(encoded.picture);
  embedding_ = encoded.embedding.view();
  embedding_on_device_ = session_.stage(kEncoder).is_host();
}

const MaskResampler& Predictor::resampler() const {
  TENON_CHECK(resampler_.has_value());
  return *resampler_;
}

void Predictor::check(const Prompt& prompt) const {
  if (prompt.points.empty() && !prompt.box && prompt.mask_logits.empty())
    throw Error(ErrorCode::Usage, "a prompt is empty").accepted("points, a box or mask logits");
  auto pixels = static_cast<size_t>(info_.mask_size * info_.mask_size);
  if (!prompt.mask_logits.empty() && prompt.mask_logits.size() != pixels) {
    throw Error(ErrorCode::BadInput, "mask logits have the wrong size")
        .got(std::to_string(prompt.mask_logits.size()))
        .accepted(std::to_string(pixels));
  }
  check_places(prompt, picture_);
  if (!std::all_of(prompt.mask_logits.begin(), prompt.mask_logits.end(),
                   [](float value) { return std::isfinite(value); }))
    throw Error(ErrorCode::BadInput, "a logit of a prompt's mask is not finite");
  if (tokens_of(prompt) <= info_.max_points) return;
  throw Error(ErrorCode::BadInput, "too many points")
      .got(std::to_string(prompt.points.size()))
      .accepted("at most " + std::to_string(info_.max_points - 2));
}

std::vector<ObjectMasks> Predictor::predict(std::span<const Prompt> prompts, MaskChoice choice,
                                            int64_t most_at_once) {
  if (!embedding_.defined()) throw Error(ErrorCode::Usage, "no picture is set");
  std::map<Form, std::vector<size_t>> forms;
  for (size_t i = 0; i < prompts.size(); ++i) {
    check(prompts[i]);
    forms[{static_cast<int64_t>(prompts[i].points.size()), prompts[i].box.has_value(),
           !prompts[i].mask_logits.empty()}]
        .push_back(i);
  }
  size_t most = most_in_a_run(most_at_once);
  std::vector<ObjectMasks> results(prompts.size());
  for (const auto& [form, objects] : forms) {
    for (size_t begin = 0; begin < objects.size(); begin += most) {
      size_t count = std::min(most, objects.size() - begin);
      run(prompts, std::span(objects).subspan(begin, count), choice, results);
    }
  }
  return results;
}

// The decoder's finest value holds an eighth of the channels for every pixel of a mask.
size_t Predictor::most_in_a_run(int64_t wanted) const {
  int64_t most_bytes = session_.device().is_host() ? 256 << 20 : 1 << 30;
  int64_t fine_bytes = info_.mask_size * info_.mask_size * (info_.width / 8 + 1) * 4;
  int64_t fitting = std::clamp<int64_t>(most_bytes / fine_bytes, 1, info_.max_prompts);
  return static_cast<size_t>(std::clamp<int64_t>(wanted, 1, fitting));
}

runtime::StageRunner& Predictor::decoder_for(const Prompt& prompt) {
  return session_.stage(prompt.mask_logits.empty() ? kDecoder : kMaskedDecoder);
}

std::span<const TensorView> Predictor::decode(std::span<const Prompt> prompts,
                                              std::span<const size_t> objects) {
  Batch batch;
  auto add = [&](double x, double y, Label label) {
    auto size = static_cast<double>(info_.image_size);
    batch.points.push_back(static_cast<float>((x + 0.5) / size));
    batch.points.push_back(static_cast<float>((y + 0.5) / size));
    batch.labels.push_back(static_cast<int32_t>(label));
  };
  for (size_t object : objects) {
    const Prompt& prompt = prompts[object];
    for (const Point& point : prompt.points)
      add(point.x * scale_x_, point.y * scale_y_,
          point.foreground ? Label::Foreground : Label::Background);
    if (prompt.box) {
      add(prompt.box->x0 * scale_x_, prompt.box->y0 * scale_y_, Label::BoxFirst);
      add(prompt.box->x1 * scale_x_, prompt.box->y1 * scale_y_, Label::BoxLast);
    } else if (!prompt.points.empty()) {
      add(0, 0, Label::Padding);
    }
    batch.masks.insert(batch.masks.end(), prompt.mask_logits.begin(), prompt.mask_logits.end());
  }
  auto count = static_cast<int64_t>(objects.size());
  int64_t tokens = static_cast<int64_t>(batch.labels.size()) / count;
  // An empty vector has no address; the view of nothing still needs one.
  batch.points.reserve(1), batch.labels.reserve(1);
  bool masked = !batch.masks.empty();
  runtime::StageRunner& decoder = decoder_for(prompts[objects[0]]);
  bool host = decoder.is_host();
  std::vector<runtime::StageInput> inputs = {
      {embedding_, embedding_on_device_},
      {TensorView(batch.points.data(), DType::F32, {count, tokens, 2}), host},
      {TensorView(batch.labels.data(), DType::I32, {count * tokens}), host}};
  if (masked) {
    Extents extents = {count, info_.mask_size, info_.mask_size};
    inputs.push_back({TensorView(batch.masks.data(), DType::F32, extents), host});
  }
  return decoder.run(std::span<const runtime::StageInput>(inputs));
}

void Predictor::run(std::span<const Prompt> prompts, std::span<const size_t> objects,
                    MaskChoice choice, std::vector<ObjectMasks>& results) {
  std::span<const TensorView> outputs = decode(prompts, objects);
  runtime::StageRunner& decoder = decoder_for(prompts[objects[0]]);
  auto count = static_cast<int64_t>(objects.size());
  Tensor scores = make_f32(decoder.to_host(outputs[1]));
  const TensorView logits = decoder.to_host(outputs[0]);
  int64_t pixels = info_.mask_size * info_.mask_size;
  for (int64_t i = 0; i < count; ++i) {
    std::span<const float> row(scores.as<float>() + i * info_.masks,
                               static_cast<size_t>(info_.masks));
    ObjectMasks& object = results[objects[i]];
    for (size_t mask : chosen_masks(choice, prompts[objects[i]], row)) {
      const float* from =
          logits.as<float>() + (i * info_.masks + static_cast<int64_t>(mask)) * pixels;
      object.logits.emplace_back(from, from + pixels);
      object.predicted_iou.push_back(row[mask]);
    }
  }
}

bool Predictor::makes_large_masks() const {
  return !session_.device().is_host() && session_.has_stage(kMaskPost);
}

void Predictor::predict_large(std::span<const Prompt> prompts, int64_t most_at_once, float offset,
                              FunctionRef<bool(float predicted_iou)> keep,
                              FunctionRef<void(std::span<const LargeMask> masks)> visit) {
  TENON_CHECK(makes_large_masks());
  if (!embedding_.defined()) throw Error(ErrorCode::Usage, "no picture is set");
  for (const Prompt& prompt : prompts) check(prompt);
  size_t most = most_in_a_run(most_at_once);
  auto decode_from = [&](size_t begin) {
    std::vector<size_t> objects(std::min(most, prompts.size() - begin));
    std::iota(objects.begin(), objects.end(), begin);
    return decode(prompts, objects);
  };
  std::span<const TensorView> outputs;
  if (!prompts.empty()) outputs = decode_from(0);
  for (size_t begin = 0; begin < prompts.size(); begin += most) {
    Tensor scores = make_f32(decoder_for(prompts[begin]).to_host(outputs[1]));
    std::vector<LargeMask> chosen;
    std::vector<int32_t> planes;
    auto masks = static_cast<size_t>(info_.masks);
    for (size_t i = 0; i < static_cast<size_t>(scores.count()); ++i) {
      float score = scores.as<float>()[i];
      if (i % masks == 0 || !keep(score)) continue;
      LargeMask mask;
      mask.object = begin + i / masks, mask.predicted_iou = score;
      chosen.push_back(mask);
      planes.push_back(static_cast<int32_t>(i));
    }
    // While the last masks are looked at here, the device makes the next ones.
    enlarge(outputs[0], chosen, planes, offset, visit, [&] {
      if (begin + most < prompts.size()) outputs = decode_from(begin + most);
    });
  }
}

// As many at a time as fit a buffer of moderate size.
void Predictor::enlarge(const TensorView& masks, std::span<const LargeMask> chosen,
                        std::span<const int32_t> planes, float offset,
                        FunctionRef<void(std::span<const LargeMask> masks)> visit,
                        FunctionRef<void()> before_last_visit) {
  constexpr int64_t kMostBytes = 256 << 20;
  if (!taps_x_.view().defined())
    taps_y_ = resampler().make_taps_y(), taps_x_ = resampler().make_taps_x();
  int64_t words = taps_y_.extents()[0], of_mask = picture_.width * words;
  auto most = static_cast<size_t>(std::max<int64_t>(kMostBytes / (of_mask * 4), 1));
  runtime::StageRunner& post = session_.stage(kMaskPost);
  if (chosen.empty()) before_last_visit();
  auto threshold = static_cast<float>(info_.mask_threshold);
  float levels[] = {threshold, threshold + offset, threshold - offset};
  for (size_t begin = 0; begin < chosen.size(); begin += most) {
    size_t count = std::min(most, chosen.size() - begin);
    std::vector<LargeMask> found(chosen.begin() + static_cast<std::ptrdiff_t>(begin),
                                 chosen.begin() + static_cast<std::ptrdiff_t>(begin + count));
    auto* numbers = const_cast<int32_t*>(planes.data() + begin);
    runtime::StageInput inputs[] = {
        {masks, true},
        {TensorView(numbers, DType::I32, {static_cast<int64_t>(count)}), false},
        {taps_y_.view(), false},
        {taps_x_.view(), false},
        {TensorView(levels, DType::F32, {3}), false}};
    std::span<const TensorView> outputs = post.run(std::span<const runtime::StageInput>(inputs));
    if (bits_memory_.bytes() < outputs[0].bytes()) {
      bits_memory_ = device::Arena();
      bits_memory_ = device::Arena(session_.device().pinned_allocator(), 2 * outputs[0].bytes());
    }
    post.copy_to_host(outputs[0], bits_memory_.data());
    const auto* bits = static_cast<const uint32_t*>(bits_memory_.data());
    const TensorView counts = post.to_host(outputs[1]);
    for (size_t i = 0; i < count; ++i) {
      const int32_t* row = counts.as<int32_t>() + i * 6;
      found[i].certain = row[0], found[i].possible = row[1];
      found[i].box = {row[2], row[3], row[4], row[5]};
      found[i].columns = {bits + static_cast<int64_t>(i) * of_mask, static_cast<size_t>(of_mask)};
    }
    if (begin + count == chosen.size()) before_last_visit();
    visit(found);
  }
}

}  // namespace tenon::sam
