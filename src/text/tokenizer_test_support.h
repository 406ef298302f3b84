#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace tenon::text {

// The parts of a small tokenizer.json as JSON text; a test replaces what it is about.
struct TestTokenizer {
  std::string vocab = R"({"<unk>":0,"a":1,"b":2,"c":3,"ab":4,"abc":5,"▁":6,"▁a":7})";
  std::string merges = R"(["a b","ab c","▁ a"])";
  std::string model_fields = "";  // for example R"("byte_fallback":true,)"
  std::string added = "[]";
  std::string normalizer = "null", pre_tokenizer = "null", post_processor = "null",
              decoder = R"({"type":"Fuse"})";
  SpecialTokenNames names = {};

  std::string json() const {
    return R"({"version":"1.0","added_tokens":)" + added + R"(,"normalizer":)" + normalizer +
           R"(,"pre_tokenizer":)" + pre_tokenizer + R"(,"post_processor":)" + post_processor +
           R"(,"decoder":)" + decoder + R"(,"model":{"type":"BPE",)" + model_fields +
           R"("vocab":)" + vocab + R"(,"merges":)" + merges + "}}";
  }
  std::shared_ptr<const Tokenizer> make() const { return Tokenizer::from_json(json(), names); }
};

using Ids = std::vector<int32_t>;

// The texts of the ids, joined by "|".
inline std::string pieces_of(const Tokenizer& tokenizer, std::string_view text,
                             const EncodeOptions& options = {}) {
  std::string out;
  for (int32_t id : tokenizer.encode(text, options)) {
    out += (out.empty() ? "" : "|") + tokenizer.token_text(id).value_or("?");
  }
  return out;
}

}  // namespace tenon::text
