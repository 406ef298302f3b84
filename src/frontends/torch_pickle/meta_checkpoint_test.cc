#include "frontends/torch_pickle/meta_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontends/safetensors/nonfinite.h"
#include "frontends/safetensors/safetensors_test_files.h"
#include "frontends/torch_pickle/torch_test_files.h"
#include "tensor/recipe.h"

namespace tenon::frontends {
namespace {

using testing::HasSubstr;

constexpr int64_t kHidden = 8, kHeads = 2, kKvHeads = 1, kFfn = 12, kVocabulary = 6;

struct Weight {
  std::string name;
  int64_t rows, columns;  // 0 columns: a vector
  int split;              // axis, or -1
  float first;            // values count up from here
};

std::vector<Weight> weights(int embedding_axis) {
  int64_t kv = kHidden / kHeads * kKvHeads;
  return {{"tok_embeddings.weight", kVocabulary, kHidden, embedding_axis, 0},
          {"norm.weight", kHidden, 0, -1, 100},
          {"output.weight", kVocabulary, kHidden, 0, 200},
          {"layers.0.attention.wq.weight", kHidden, kHidden, 0, 300},
          {"layers.0.attention.wk.weight", kv, kHidden, 0, 400},
          {"layers.0.attention.wv.weight", kv, kHidden, 0, 500},
          {"layers.0.attention.wo.weight", kHidden, kHidden, 1, 600},
          {"layers.0.feed_forward.w1.weight", kFfn, kHidden, 0, 700},
          {"layers.0.feed_forward.w2.weight", kHidden, kFfn, 1, 800},
          {"layers.0.feed_forward.w3.weight", kFfn, kHidden, 0, 900},
          {"layers.0.attention_norm.weight", kHidden, 0, -1, 1000},
          {"layers.0.ffn_norm.weight", kHidden, 0, -1, 1100},
          {"rope.freqs", 2, 0, -1, 1200}};
}

// The file of one rank: each weight's part, in f32.
std::string shard(int rank, int ranks, int embedding_axis) {
  PickleForge forge;
  forge.raw("\x80\x02}(");
  std::vector<std::pair<std::string, std::string>> storages;
  for (const Weight& weight : weights(embedding_axis)) {
    int64_t rows = weight.rows, columns = std::max<int64_t>(weight.columns, 1);
    int64_t my_rows = weight.split == 0 ? rows / ranks : rows;
    int64_t my_columns = weight.split == 1 ? columns / ranks : columns;
    int64_t row0 = weight.split == 0 ? rank * my_rows : 0;
    int64_t column0 = weight.split == 1 ? rank * my_columns : 0;
    std::string data;
    for (int64_t r = 0; r < my_rows; ++r) {
      for (int64_t c = 0; c < my_columns; ++c) {
        float value = weight.first + static_cast<float>((row0 + r) * columns + column0 + c);
        data += number_bytes(std::bit_cast<uint32_t>(value), 4);
      }
    }
    std::string key = std::to_string(storages.size());
    forge.text(weight.name);
    if (weight.columns == 0) {
      forge.tensor("FloatStorage", key, my_rows, 0, {my_rows}, {1});
    } else {
      forge.tensor("FloatStorage", key, my_rows * my_columns, 0, {my_rows, my_columns},
                   {my_columns, 1});
    }
    storages.emplace_back(key, data);
  }
  return torch_bytes(forge.raw("u.").str(), storages);
}

constexpr const char* kParams =
    R"({"dim": 8, "n_layers": 1, "n_heads": 2, "n_kv_heads": 1, "norm_eps": 1e-06, "vocab_size": -1})";

void write_model(const TestFolder& folder, int ranks, int embedding_axis) {
  folder.write("params.json", kParams);
  for (int rank = 0; rank < ranks; ++rank) {
    folder.write("consolidated.0" + std::to_string(rank) + ".pth",
                 shard(rank, ranks, embedding_axis));
  }
}

std::vector<float> values(const Checkpoint& checkpoint, const std::string& name) {
  Tensor made = checkpoint.weights->recipe_of(name)->evaluate(*checkpoint.weights);
  return {made.as<float>(), made.as<float>() + made.count()};
}

std::vector<float> counted(float first, int64_t count) {
  std::vector<float> made;
  for (int64_t i = 0; i < count; ++i) made.push_back(first + static_cast<float>(i));
  return made;
}

TEST(MetaCheckpoint, JoinsShardsUnderTheNamesOfHuggingFace) {
  // kv rows of 4 cannot be split over more than the kv heads; one kv head allows rows of 2.
  for (auto [ranks, axis] : {std::pair{1, 1}, {2, 1}, {2, 0}}) {
    TestFolder folder;
    write_model(folder, ranks, axis);
    ASSERT_TRUE(is_meta_folder(folder.path()));
    Checkpoint checkpoint = open_meta_checkpoint(folder.path());
    EXPECT_EQ(checkpoint.files.size(), static_cast<size_t>(ranks));
    EXPECT_EQ(values(checkpoint, "model.embed_tokens.weight"), counted(0, kVocabulary * kHidden));
    EXPECT_EQ(values(checkpoint, "lm_head.weight"), counted(200, kVocabulary * kHidden));
    EXPECT_EQ(values(checkpoint, "model.layers.0.self_attn.v_proj.weight"),
              counted(500, 4 * kHidden));
    EXPECT_EQ(values(checkpoint, "model.layers.0.self_attn.o_proj.weight"), counted(600, 64));
    EXPECT_EQ(values(checkpoint, "model.layers.0.mlp.gate_proj.weight"),
              counted(700, kFfn * kHidden));
    EXPECT_EQ(values(checkpoint, "model.layers.0.mlp.down_proj.weight"),
              counted(800, kFfn * kHidden));
    EXPECT_EQ(values(checkpoint, "model.layers.0.input_layernorm.weight"), counted(1000, kHidden));
    // Two heads of four rows: (pair, half) becomes (half, pair).
    std::vector<float> q = values(checkpoint, "model.layers.0.self_attn.q_proj.weight"),
                       first_of_rows;
    for (size_t row = 0; row < 8; ++row) first_of_rows.push_back(q[row * 8]);
    EXPECT_EQ(first_of_rows, (std::vector<float>{300, 316, 308, 324, 332, 348, 340, 356}));
    EXPECT_EQ(checkpoint.weights->find("tok_embeddings.weight"), nullptr);
    EXPECT_NE(checkpoint.weights->find("rotary_emb.inv_freq"), nullptr);
    EXPECT_TRUE(find_nonfinite(*checkpoint.weights).empty());
    EXPECT_NO_THROW(checkpoint.weights->verify_unchanged());
  }
}

TEST(MetaCheckpoint, WritesTheConfigOfTheConverter) {
  TestFolder folder;
  write_model(folder, 2, 1);
  std::vector<std::string> notes;
  data::Json config = read_meta_config(folder.path(), notes);
  EXPECT_EQ(config.get_string("model_type", ""), "llama");
  EXPECT_EQ(config.get_int("vocab_size", 0), kVocabulary);
  EXPECT_EQ(config.get_int("intermediate_size", 0), kFfn);
  EXPECT_EQ(config.get_int("num_key_value_heads", 0), kKvHeads);
  EXPECT_EQ(config.get_int("max_position_embeddings", 0), 2048);
  EXPECT_EQ(config.get_double("rms_norm_eps", 0), 1e-6);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_THAT(notes[0], HasSubstr("2048"));
}

std::string message_of(const TestFolder& folder) {
  try {
    std::vector<std::string> notes;
    if (is_meta_folder(folder.path())) read_meta_config(folder.path(), notes);
    open_meta_checkpoint(folder.path());
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(MetaCheckpoint, ShardsThatDoNotFitAreRefused) {
  TestFolder missing;
  write_model(missing, 2, 1);
  std::filesystem::remove(missing.file("consolidated.00.pth"));
  EXPECT_THAT(message_of(missing), HasSubstr("a shard is missing"));
  TestFolder mixed;
  write_model(mixed, 2, 1);
  mixed.write("consolidated.01.pth", shard(0, 1, 1));
  EXPECT_THAT(message_of(mixed), HasSubstr("problems"));
  TestFolder heads;
  write_model(heads, 1, 1);
  heads.write("params.json", R"({"dim": 8, "n_layers": 1, "n_heads": 4})");
  EXPECT_THAT(message_of(heads), HasSubstr("rows do not fit the heads"));
  heads.write("params.json", R"({"dim": 0, "n_heads": 3})");
  EXPECT_THAT(message_of(heads), HasSubstr("n_layers"));
  EXPECT_THAT(message_of(heads), HasSubstr("dim: out of range"));
}

}  // namespace
}  // namespace tenon::frontends
