#pragma once

#include <cstdint>

namespace tenon {

// Every limit on input from outside, in one place (docs/limits.md gives reasons).
struct Limits {
  int64_t safetensors_header_bytes = 100'000'000;
  int64_t safetensors_string_bytes = 64ll << 20;
  int64_t safetensors_tensors = 1 << 18;  // of one file: bounds the memory its header can cost
  int64_t safetensors_metadata = 1 << 16;
  int64_t shard_index_bytes = 32ll << 20;
  int64_t zip_entries = 1 << 18;
  int64_t pickle_bytes = 64ll << 20;
  int64_t pickle_values = 1 << 21;  // on the stack, in the memo and in containers, together
  int pickle_depth = 64;
  int64_t torch_tensors = 1 << 17;  // of one PyTorch file
  int64_t torch_name_bytes = 16ll << 20;
  int64_t torch_expansion = 16;  // bytes of all tensors to bytes of the file
  int64_t json_bytes = 256ll << 20;
  int json_depth = 64;
  int64_t json_string_bytes = 16ll << 20;
  int tensor_rank = 16;
  int64_t tensor_name_bytes = 4096;
  int64_t shards = 10'000;
  int64_t layers = 4096;
  int64_t hidden = 1 << 20;
  int64_t vocabulary = 1 << 24;
  int64_t positions = 1ll << 31;
  int64_t heads = 1 << 16;
  int64_t plan_section_count = 4096;
  int64_t plan_graph_bytes = 1ll << 30;
  int64_t plan_json_bytes = 64ll << 20;  // of one JSON section
  int64_t plan_json_values = 4 << 20;    // likewise
  int plan_json_depth = 512;
  int region_depth = 100;
  int ranks = 1024;
  int64_t symbol_most = 1ll << 36;
  int64_t graph_nodes = 10'000'000;
  int64_t prompt_bytes = 64ll << 20;
  int stop_strings = 64;
  int regex_bytes = 16 << 10;
  int64_t template_bytes = 1 << 20;
  int template_syntax_depth = 200;
  int64_t template_steps = 4'000'000;
  int template_depth = 1000;
  int template_value_depth = 100;
  int64_t template_bytes_held = 256ll << 20;
  int64_t template_output_bytes = 16ll << 20;
  int64_t image_file_bytes = 256ll << 20;
  int64_t image_side = 65'500;
  int64_t image_pixels = 100'000'000;
  int jpeg_scans = 500;
  int64_t jpeg_scanned_pixels = 2'000'000'000;
  int64_t png_chunk_bytes = 8ll << 20;
};

inline constexpr Limits kLimits{};

}  // namespace tenon
