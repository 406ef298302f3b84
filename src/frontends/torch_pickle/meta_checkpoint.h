#pragma once

#include <string>

#include "data/json.h"
#include "frontends/checkpoint.h"

namespace tenon::frontends {

// Meta's layout of LLaMA 1 to 3: params.json and consolidated.NN.pth, one file a tensor-parallel
// rank, without config.json.
bool is_meta_folder(const std::string& path);

// The config.json that Hugging Face's converter would write. Sizes that params.json leaves out (the
// vocabulary, the feed-forward width) come from the shapes; the context, which it never names, from
// the generation its other fields tell. `notes` says so.
data::Json read_meta_config(const std::string& folder, std::vector<std::string>& notes);

// The weights under Hugging Face's names: shards joined along the axis they were split at, rows of
// q and k from interleaved to rotate-half order. Source: transformers
// src/transformers/models/llama/convert_llama_weights_to_hf.py. Throws ErrorCode::BadInput listing
// every tensor that does not fit.
Checkpoint open_meta_checkpoint(const std::string& folder);

}  // namespace tenon::frontends
