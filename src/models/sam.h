#pragma once

#include "models/model.h"
#include "nn/vision_layers.h"

// Segment Anything in parts; sam.cc puts them together. Names are those of Meta's checkpoints.
namespace tenon::models {

// All of it can be read off the shapes of the weights.
struct SamConfig {
  int64_t image = 1024, patch = 16, grid = 64;  // grid = image / patch: cells on a side
  int64_t dim = 0, heads = 0, head_dim = 0, ffn = 0, window = 14;
  std::vector<bool> global;  // by block: attends the whole picture, not windows
  int64_t width = 256;       // of embeddings, tokens and the decoder
  int64_t mask_channels = 16, masks = 4, decoder_heads = 8, decoder_layers = 2, decoder_ffn = 2048;
  int64_t cross_width = 128;  // inside of the attention between tokens and picture
  int64_t iou_ffn = 256, iou_layers = 3;
  // Of the decoder's layers: Meta's. transformers runs the same weights with 1e-6, which moves
  // masks by 1e-4 of their RMS.
  double decoder_norm_eps = 1e-5;
};

// pixels f32 [image, image, 3], normalised and padded -> embedding [grid * grid, width].
ir::Graph sam_image_encoder(const ModelSource& source, nn::Weights& weights,
                            const SamConfig& config);

// picture u8 [picture_h, picture_w, 3] and the taps of ops/image_prep.h -> pixels.
ir::Graph sam_image_prep(const ModelSource& source, nn::Weights& weights, const SamConfig& config);

// embedding [grid * grid, width], points f32 [prompts, points, 2] in [0, 1], labels i32 [prompts *
// points] (SamPointLabel) and, where `masked`, mask_logits f32 [prompts, 4 * grid, 4 * grid] ->
// masks f32 [prompts, masks, 4 * grid, 4 * grid] logits, iou [prompts, masks].
ir::Graph sam_mask_decoder(const ModelSource& source, nn::Weights& weights, const SamConfig& config,
                           bool masked);

// masks f32 [prompts, masks, 4 * grid, 4 * grid], chosen i32 [chosen] of all of them and the taps
// of ops/mask_post.h -> bits i32 [chosen, picture_w, words], counts i32 [chosen, 6].
ir::Graph sam_mask_post(const ModelSource& source, nn::Weights& weights, const SamConfig& config);

// What is taken from red, green and blue of 0 to 255, and what the rest is divided by.
inline constexpr double kSamMean[] = {123.675, 116.28, 103.53};
inline constexpr double kSamDeviation[] = {58.395, 57.12, 57.375};

// Rows of the table of label embeddings.
enum class SamPointLabel : int32_t { Padding, Background, Foreground, BoxFirst, BoxLast };

// What the pipeline, the plan and its proof need to know beside the graphs.
StagedModelInfo sam_stages(const SamConfig& config);

// One picture, and its decoders in each size, from StagedModelInfo::description. Throws
// ErrorCode::BadInput where that does not describe the model.
StageChecks sam_checks_in(const data::Json& description, std::span<const CheckSize> sizes);

}  // namespace tenon::models
