#include "frontends/torch_pickle/meta_checkpoint.h"

#include <algorithm>
#include <filesystem>

#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/number.h"
#include "base/text.h"
#include "frontends/derived_weights.h"

namespace tenon::frontends {
namespace {

constexpr std::string_view kParams = "params.json";
constexpr int64_t kMostParamsBytes = 1 << 20;

using Shards = std::vector<std::shared_ptr<const WeightFile>>;

// The number in "consolidated.NN.pth", or -1.
int64_t shard_number(std::string_view name) {
  constexpr std::string_view kBegin = "consolidated.", kEnd = ".pth";
  if (!name.starts_with(kBegin) || !name.ends_with(kEnd)) return -1;
  if (name.size() <= kBegin.size() + kEnd.size()) return -1;
  name.remove_prefix(kBegin.size());
  name.remove_suffix(kEnd.size());
  return parse_number<uint16_t>(name).value_or(-1);
}

std::vector<std::string> shard_names(const std::string& folder) {
  std::vector<std::pair<int64_t, std::string>> found;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed)) {
    std::string name = entry.path().filename();
    int64_t number = shard_number(name);
    if (number >= 0) found.emplace_back(number, name);
  }
  if (failed) throw Error(ErrorCode::Io, "cannot list: " + failed.message()).at(folder);
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i].first != static_cast<int64_t>(i)) {
      throw Error(ErrorCode::BadInput, "a shard is missing, or there twice")
          .at(folder)
          .got(found[i].second + " as number " + std::to_string(i));
    }
    names.push_back(std::move(found[i].second));
  }
  if (static_cast<int64_t>(names.size()) > kLimits.ranks) {
    throw Error(ErrorCode::BadInput, "too many shards").at(folder);
  }
  return names;
}

struct Params {
  int64_t hidden = 0, layers = 0, heads = 0, kv_heads = 0;
  double eps = 1e-5, theta = 10000;
  bool scaled_rope = false;
  double rope_factor = 8;
  int64_t context = 0;  // 0: not named
};

class ParamsReader {
 public:
  ParamsReader(const data::Json& json, std::string place) : json_(json), place_(std::move(place)) {}

  int64_t whole(std::string_view name, int64_t most, int64_t otherwise = -1) {
    const data::Json* value = json_.find(name);
    if (!value || value->is_null()) {
      if (otherwise >= 0) return otherwise;
      problems_.add(problem("field is missing", name));
      return 1;
    }
    if (value->is_int() && value->as_int(name) >= 1 && value->as_int(name) <= most) {
      return value->as_int(name);
    }
    problems_.add(
        problem("out of range", name).got(value->dump()).accepted("1 to " + std::to_string(most)));
    return 1;
  }
  double number(std::string_view name, double most, double otherwise) {
    const data::Json* value = json_.find(name);
    if (!value || value->is_null()) return otherwise;
    double read = value->is_number() ? value->as_double(name) : -1;
    if (read > 0 && read <= most) return read;
    problems_.add(problem("out of range", name)
                      .got(value->dump())
                      .accepted("above 0, at most " + format_double(most)));
    return otherwise;
  }
  void throw_if_any() const { problems_.throw_if_any(); }

 private:
  Error problem(std::string_view what, std::string_view name) const {
    return Error(ErrorCode::BadInput, what).at(place_).at(name);
  }
  const data::Json& json_;
  std::string place_;
  Problems problems_;
};

Params read_params(const std::string& folder) {
  std::string path = resolve_in_folder(folder, kParams);
  data::Json json = data::read_json_file(path, kMostParamsBytes);
  if (const data::Json* inner = json.find("model"); inner && inner->is_object()) {
    json = data::Json(*inner);
  }
  ParamsReader reader(json, path);
  Params params;
  params.hidden = reader.whole("dim", kLimits.hidden);
  params.layers = reader.whole("n_layers", kLimits.layers);
  params.heads = reader.whole("n_heads", kLimits.heads);
  params.kv_heads = reader.whole("n_kv_heads", kLimits.heads, params.heads);
  params.eps = reader.number("norm_eps", 1, params.eps);
  params.theta = reader.number("rope_theta", 1e12, params.theta);
  params.scaled_rope = json.get_bool("use_scaled_rope", false);
  params.rope_factor = reader.number("rope_scaling_factor", 1e6, params.rope_factor);
  params.context = reader.whole("max_seq_len", kLimits.positions, 0);
  reader.throw_if_any();
  bool fits = params.hidden % params.heads == 0 && (params.hidden / params.heads) % 2 == 0 &&
              params.heads % params.kv_heads == 0;
  if (!fits) {
    throw Error(ErrorCode::BadInput, "dim, n_heads and n_kv_heads do not fit together")
        .at(path)
        .got(std::to_string(params.hidden) + ", " + std::to_string(params.heads) + ", " +
             std::to_string(params.kv_heads));
  }
  return params;
}

Shards open_shards(const std::string& folder) {
  Shards shards;
  for (const std::string& name : shard_names(folder)) {
    shards.push_back(open_weight_file(resolve_in_folder(folder, name)));
  }
  return shards;
}

const WeightInfo& need(const WeightFile& shard, std::string_view name) {
  const WeightInfo* info = shard.find(name);
  if (info && info->extents.rank() > 0) return *info;
  throw Error(ErrorCode::BadInput, "shard lacks a tensor").at(shard.path()).got(name);
}

// How a tensor is split over the ranks.
enum class Split { Rows, Columns, Whole };

// The embedding is split by columns until LLaMA 2, by rows since; the shape tells.
Split embedding_split(const WeightFile& shard, int64_t hidden) {
  const WeightInfo& info = need(shard, "tok_embeddings.weight");
  return info.extents.back() == hidden ? Split::Rows : Split::Columns;
}

int64_t rows_of_all(const Shards& shards, std::string_view name) {
  int64_t rows = 0;
  for (const auto& shard : shards)
    rows = checked_add(rows, need(*shard, name).extents[0], "rows of all shards");
  return rows;
}

struct Rule {
  std::string_view meta, hugging_face;
  Split split;
};
constexpr Rule kLayerRules[] = {
    {"attention.wq.weight", "self_attn.q_proj.weight", Split::Rows},
    {"attention.wk.weight", "self_attn.k_proj.weight", Split::Rows},
    {"attention.wv.weight", "self_attn.v_proj.weight", Split::Rows},
    {"attention.wo.weight", "self_attn.o_proj.weight", Split::Columns},
    {"feed_forward.w1.weight", "mlp.gate_proj.weight", Split::Rows},
    {"feed_forward.w2.weight", "mlp.down_proj.weight", Split::Columns},
    {"feed_forward.w3.weight", "mlp.up_proj.weight", Split::Rows},
    {"attention_norm.weight", "input_layernorm.weight", Split::Whole},
    {"ffn_norm.weight", "post_attention_layernorm.weight", Split::Whole},
    {"attention.inner_attention.rope.freqs", "self_attn.rotary_emb.inv_freq", Split::Whole}};
constexpr Rule kTopRules[] = {{"norm.weight", "model.norm.weight", Split::Whole},
                              {"output.weight", "lm_head.weight", Split::Rows},
                              {"rope.freqs", "rotary_emb.inv_freq", Split::Whole}};

// Names that are no LLaMA's keep their own, so that the ledger lists them.
Rule rule_of(std::string_view name, Split embedding, std::string& hugging_face) {
  hugging_face = name;
  if (name == "tok_embeddings.weight") {
    hugging_face = "model.embed_tokens.weight";
    return {name, "", embedding};
  }
  for (const Rule& rule : kTopRules) {
    if (name != rule.meta) continue;
    hugging_face = rule.hugging_face;
    return rule;
  }
  constexpr std::string_view kLayers = "layers.";
  if (!name.starts_with(kLayers)) return {name, "", Split::Whole};
  size_t dot = name.find('.', kLayers.size());
  if (dot == name.npos) return {name, "", Split::Whole};
  for (const Rule& rule : kLayerRules) {
    if (name.substr(dot + 1) != rule.meta) continue;
    hugging_face = "model." + std::string(name.substr(0, dot + 1)) + std::string(rule.hugging_face);
    return rule;
  }
  return {name, "", Split::Whole};
}

// Rows of each head from (pair, half) to (half, pair) order.
Recipe permute_heads(Recipe weight, int64_t heads) {
  int64_t rows = weight.extents()[0], columns = weight.extents()[1];
  Recipe split = Recipe::reshape(std::move(weight), {heads, rows / heads / 2, 2, columns});
  return Recipe::reshape(Recipe::permute(std::move(split), {0, 2, 1, 3}), {rows, columns});
}

class Joiner {
 public:
  Joiner(const Shards& shards, const Params& params) : shards_(shards), params_(params) {
    for (size_t i = 0; i < shards.size(); ++i) derived_->add_source(source_name(i), shards[i]);
  }

  std::shared_ptr<const DerivedWeights> join_all() {
    Split embedding = embedding_split(*shards_[0], params_.hidden);
    Problems problems;
    for (const WeightInfo& info : shards_[0]->weights()) {
      try {
        join_one(info, embedding);
      } catch (const Error& error) {
        problems.add(error);
      }
    }
    problems.throw_if_any();
    return derived_;
  }

 private:
  static std::string source_name(size_t shard) { return "shard" + std::to_string(shard); }

  void join_one(const WeightInfo& first, Split embedding) {
    std::string name;
    Rule rule = rule_of(first.name, embedding, name);
    if (rule.split == Split::Whole || shards_.size() == 1) {
      return add(rule, std::move(name), derived_->part(source_name(0), first));
    }
    int axis = rule.split == Split::Rows ? 0 : 1;
    std::vector<Recipe> parts;
    for (size_t i = 0; i < shards_.size(); ++i) {
      const WeightInfo& info = need(*shards_[i], first.name);
      bool fits = info.dtype == first.dtype && info.extents.rank() == 2 &&
                  first.extents.rank() == 2 && info.extents[1 - axis] == first.extents[1 - axis];
      if (!fits) {
        throw Error(ErrorCode::BadInput, "shards do not fit together")
            .at(shards_[i]->path())
            .at("tensor " + first.name)
            .got(std::string(dtype_name(info.dtype)) + " " + info.extents.to_string())
            .accepted(std::string(dtype_name(first.dtype)) + ", split of " +
                      first.extents.to_string() + " along axis " + std::to_string(axis));
      }
      parts.push_back(derived_->part(source_name(i), info));
    }
    add(rule, std::move(name), Recipe::concat(std::move(parts), axis));
  }

  void add(const Rule& rule, std::string name, Recipe weight) {
    int64_t heads = 0;
    if (rule.meta == "attention.wq.weight") heads = params_.heads;
    if (rule.meta == "attention.wk.weight") heads = params_.kv_heads;
    if (heads > 0) {
      int64_t rows = heads * (params_.hidden / params_.heads);
      if (weight.extents().rank() != 2 || weight.extents()[0] != rows) {
        throw Error(ErrorCode::BadInput, "rows do not fit the heads of params.json")
            .at(shards_[0]->path())
            .at("tensor " + name)
            .got(weight.extents().to_string())
            .accepted(std::to_string(rows) + " rows");
      }
      weight = permute_heads(std::move(weight), heads);
    }
    derived_->add(std::move(name), std::move(weight));
  }

  const Shards& shards_;
  const Params& params_;
  std::shared_ptr<DerivedWeights> derived_ = std::make_shared<DerivedWeights>();
};

// What a generation of LLaMA was trained for: params.json does not say.
int64_t context_of(const Params& params) {
  if (params.scaled_rope) return 131072;
  if (params.theta >= 500000) return 8192;
  if (params.theta > 10000) return 16384;  // Code Llama
  return params.eps < 5e-6 ? 2048 : 4096;
}

}  // namespace

bool is_meta_folder(const std::string& path) {
  if (!is_directory(path) || file_exists(path + "/config.json")) return false;
  return file_exists(path + "/" + std::string(kParams)) && !shard_names(path).empty();
}

data::Json read_meta_config(const std::string& folder, std::vector<std::string>& notes) {
  Params params = read_params(folder);
  Shards shards = open_shards(folder);
  bool by_rows = embedding_split(*shards[0], params.hidden) == Split::Rows;
  int64_t vocabulary = by_rows ? rows_of_all(shards, "tok_embeddings.weight")
                               : need(*shards[0], "tok_embeddings.weight").extents[0];
  int64_t context = params.context > 0 ? params.context : context_of(params);
  if (params.context == 0) {
    notes.push_back("params.json names no context: " + std::to_string(context) +
                    " is taken, as its generation was trained");
  }
  data::Json config = data::Json::object();
  config.set("architectures", data::Json::Array{"LlamaForCausalLM"}).set("model_type", "llama");
  config.set("hidden_size", params.hidden).set("num_hidden_layers", params.layers);
  config.set("num_attention_heads", params.heads).set("num_key_value_heads", params.kv_heads);
  config.set("intermediate_size", rows_of_all(shards, "layers.0.feed_forward.w1.weight"));
  config.set("vocab_size", vocabulary).set("max_position_embeddings", context);
  config.set("rms_norm_eps", params.eps).set("rope_theta", params.theta);
  config.set("tie_word_embeddings", shards[0]->find("output.weight") == nullptr);
  if (params.scaled_rope) {
    data::Json scaling = data::Json::object();
    scaling.set("rope_type", "llama3").set("factor", params.rope_factor);
    scaling.set("low_freq_factor", 1.0).set("high_freq_factor", 4.0);
    scaling.set("original_max_position_embeddings", 8192);
    config.set("rope_scaling", scaling);
  }
  constexpr int64_t kLlama3Vocabulary = 128256;
  bool llama3 = vocabulary == kLlama3Vocabulary;
  if (llama3 || vocabulary > 2) {
    config.set("bos_token_id", llama3 ? 128000 : 1).set("eos_token_id", llama3 ? 128001 : 2);
  }
  return config;
}

Checkpoint open_meta_checkpoint(const std::string& folder) {
  Params params = read_params(folder);
  Checkpoint checkpoint;
  checkpoint.files = open_shards(folder);
  checkpoint.weights = Joiner(checkpoint.files, params).join_all();
  return checkpoint;
}

}  // namespace tenon::frontends
