#pragma once

#include <vector>

#include "models/config_reader.h"

namespace tenon::models {

// Frequencies of rotary position embeddings, with the published ways to stretch them. Formulas
// after huggingface/transformers src/transformers/modeling_rope_utils.py, in f32 as there.
struct Rotary {
  std::vector<float> inv_freq;  // [rotary_dim / 2]
  double scale = 1.0;           // cos and sin are multiplied by this (YaRN's attention factor)
};

// Reads rope_theta and rope_scaling, or the newer rope_parameters. Kinds: default, linear, llama3,
// yarn. Others are refused by name.
Rotary read_rotary(ConfigReader& reader, int64_t rotary_dim, int64_t context);

}  // namespace tenon::models
