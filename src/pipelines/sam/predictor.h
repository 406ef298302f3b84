#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/function_ref.h"
#include "imaging/image.h"
#include "pipelines/sam/mask_resampler.h"
#include "runtime/session.h"

namespace tenon::sam {

// Places are pixels of the picture; fractions and places outside are allowed.
struct Point {
  double x = 0, y = 0;
  bool foreground = true;
};
struct PromptBox {
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

// One object: any mix of points, a box and the logits of an earlier, small mask.
struct Prompt {
  std::vector<Point> points;
  std::optional<PromptBox> box;
  std::span<const float> mask_logits;  // [mask_size, mask_size], or empty
};

// Which of the masks a decoder gives for an object.
enum class MaskChoice {
  Single,   // the one made for prompts that leave no doubt
  Several,  // the others: whole, part, part of the part
  Best,     // by the number of points and the predicted quality, as Meta's ONNX export chooses
};

// Small masks of one object.
struct ObjectMasks {
  std::vector<std::vector<float>> logits;  // each [mask_size, mask_size]
  std::vector<float> predicted_iou;        // of each; an estimate, may leave [0, 1]
};

// A mask at the size of the picture, made on the device.
struct LargeMask {
  size_t object = 0;
  float predicted_iou = 0;
  int64_t certain = 0, possible = 0;  // pixels above the threshold and an offset, and below by it
  imaging::Box box;                   // edges, inclusive; zeros where the mask is empty
  std::span<const uint32_t> columns;  // bits down the columns, as imaging::encode_rle takes them
  float stability() const { return static_cast<float>(certain) / static_cast<float>(possible); }
};

// A picture that was encoded, in host memory, to come back to later.
struct EncodedImage {
  Tensor embedding;
  Size picture;
};

// A picture's embedding and the masks of prompts. Not thread-safe.
class Predictor {
 public:
  // Throws ErrorCode::WrongPlan for plans of other pipelines or with other stages.
  static std::unique_ptr<Predictor> open(std::shared_ptr<const plan::PlanFile> file,
                                         const runtime::SessionOptions& options = {});
  // On stages somebody else has loaded, e.g. the unfused ones; borrowed.
  explicit Predictor(runtime::Session& session);

  const SamInfo& info() const { return info_; }
  runtime::Session& session() { return session_; }

  // Encodes the picture; the embedding stays on the device until the next one.
  void set_image(const imaging::Image& image);
  Size picture() const { return picture_; }
  // A copy of the embedding of the picture that is set.
  EncodedImage encoded();
  // Sets a picture that was encoded before. Borrows it until another one is set.
  void set_encoded(const EncodedImage& encoded);
  const MaskResampler& resampler() const;

  // Masks of each object, in order. Objects with prompts of one form share runs of at most
  // `most_at_once`. Throws ErrorCode::Usage where no picture is set or a prompt is empty,
  // ErrorCode::BadInput where a point or a whole box lies outside the picture, or corners are not
  // in order.
  std::vector<ObjectMasks> predict(std::span<const Prompt> prompts, MaskChoice choice,
                                   int64_t most_at_once = 64);

  // Whether masks are made large where the decoder runs: on a GPU, by plans that have the stage.
  bool makes_large_masks() const;
  // The masks of Several whose predicted quality `keep` accepts, at the size of the picture, in
  // order. Of clicks, boxes or both without mask logits, all prompts of one form. `visit` is called
  // with some at a time; their columns are gone when it returns.
  void predict_large(std::span<const Prompt> prompts, int64_t most_at_once, float offset,
                     FunctionRef<bool(float predicted_iou)> keep,
                     FunctionRef<void(std::span<const LargeMask> masks)> visit);

 private:
  struct Form;
  Predictor(std::unique_ptr<runtime::Session> owned, runtime::Session& session);
  void set_size(Size picture);
  bool prepares_on_device(const imaging::Image& image) const;
  // The encoder's input, made on the device.
  runtime::StageInput prepare(const imaging::Image& image);
  void check(const Prompt& prompt) const;
  size_t most_in_a_run(int64_t wanted) const;
  runtime::StageRunner& decoder_for(const Prompt& prompt);
  // Masks and their scores, where the decoder runs.
  std::span<const TensorView> decode(std::span<const Prompt> prompts,
                                     std::span<const size_t> objects);
  void run(std::span<const Prompt> prompts, std::span<const size_t> objects, MaskChoice choice,
           std::vector<ObjectMasks>& results);
  void enlarge(const TensorView& masks, std::span<const LargeMask> chosen,
               std::span<const int32_t> planes, float offset,
               FunctionRef<void(std::span<const LargeMask> masks)> visit,
               FunctionRef<void()> before_last_visit);

  std::unique_ptr<runtime::Session> owned_;
  runtime::Session& session_;
  SamInfo info_;
  Size picture_;
  double scale_x_ = 1, scale_y_ = 1;
  TensorView embedding_;
  bool embedding_on_device_ = false;
  std::optional<MaskResampler> resampler_;
  Tensor taps_y_, taps_x_;     // of the picture, made when first asked for
  device::Arena bits_memory_;  // pinned
};

}  // namespace tenon::sam
