#include <array>

#include "base/text.h"
#include "fuzz_input.h"
#include "text/incremental_decoder.h"
#include "text/tokenizer.h"

// The first byte chooses a tokenizer and options; the rest is the text.
namespace {

using namespace tenon;
using Pointer = std::shared_ptr<const text::Tokenizer>;

std::string whole(std::string_view normalizer, std::string_view pre, std::string_view decoder,
                  std::string_view model) {
  std::string json = R"({"version":"1.0","added_tokens":[
    {"id":900,"content":"<s>","special":true},{"id":901,"content":"Ab","normalized":true,"single_word":true},
    {"id":902,"content":"..","lstrip":true,"rstrip":true}],"post_processor":null,"normalizer":)";
  json.append(normalizer).append(R"(,"pre_tokenizer":)").append(pre).append(R"(,"decoder":)");
  return json.append(decoder).append(R"(,"model":)").append(model).append("}");
}

// Every byte as GPT-2 spells it, and a few merges.
std::string byte_model() {
  std::string vocab;
  int next = 0;
  for (int byte = 0; byte < 256; ++byte) {
    bool visible = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    int c = visible ? byte : 256 + next++;
    char spelled[16];
    std::snprintf(spelled, sizeof spelled, "\\u%04x", c);
    vocab += "\"" + std::string(spelled) + "\":" + std::to_string(byte) + ",";
  }
  return R"({"type":"BPE","vocab":{)" + vocab +
         R"("aa":256,"aaa":257,"aaaa":258},"merges":["a a","aa a","aa aa"]})";
}

constexpr std::string_view kPieces =
    R"("type":"SentencePiece","byte_fallback":false,"pieces":[["<unk>",0,2],["<c>",0,3],["<u>",0,4],
    ["a",-1,1],["\u2581",-2,1],["aa",-3,1],["\u2581a",-3,1],["\u2581\u2581",-3,1],["a\u0301",-4,1]]})";

Pointer make(int kind) {
  std::string pieces(kPieces);
  std::string spaces = R"({"type":"SentencePiece","user_defined":["<u>"],"charsmap":""})";
  std::string joins = R"({"type":"SentencePiece","unk":"<unk>","unk_surface":" ? "})";
  std::string json;
  if (kind == 0) {
    json = whole("null", R"({"type":"ByteLevel","add_prefix_space":false})",
                 R"({"type":"ByteLevel"})", byte_model());
  } else if (kind == 1) {
    json = whole(R"({"type":"BertNormalizer"})", R"({"type":"BertPreTokenizer"})",
                 R"({"type":"WordPiece"})",
                 R"({"type":"WordPiece","vocab":{"[UNK]":0,"a":1,"##a":2,"##aa":3,"b":4}})");
  } else if (kind == 2) {
    json = whole(
        R"({"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Nmt"}]})",
        R"({"type":"Sequence","pretokenizers":[{"type":"UnicodeScripts"},
                     {"type":"Metaspace","replacement":"\u2581","prepend_scheme":"first"}]})",
        R"({"type":"Metaspace","replacement":"\u2581","prepend_scheme":"first"})",
        R"({"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["a",-1],["aa",-1.5],["\u2581",-2]]})");
  } else {
    json = whole(spaces, "null", joins,
                 (kind == 3 ? R"({"kind":"bpe",)" : R"({"kind":"unigram",)") + pieces);
  }
  return text::Tokenizer::from_json(json);
}

constexpr int kKinds = 5;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::array<Pointer, kKinds> tokenizers = {make(0), make(1), make(2), make(3),
                                                         make(4)};
  if (size == 0) return 0;
  const Pointer& tokenizer = tokenizers[data[0] % kKinds];
  std::string_view text = fuzz::text_of(data + 1, size - 1);
  text::ByteRange plain{text.size() / 3, text.size() / 2};
  text::EncodeOptions options{.parse_special = (data[0] & 64) == 0};
  if (data[0] & 128) options.plain = std::span(&plain, 1);
  std::vector<int32_t> ids = tokenizer->encode(text, options);
  std::string decoded = tokenizer->decode(ids, false);
  if (!is_valid_utf8(decoded)) std::abort();
  // Bytes come back as they were, but for the white space that an added token took.
  bool exact = data[0] % kKinds == 0 && is_valid_utf8(text) && text.find("..") == text.npos;
  if (exact && decoded != text) std::abort();
  text::IncrementalDecoder decoder(tokenizer, false);
  std::string streamed;
  for (int32_t id : ids) streamed += decoder.push(id);
  if (streamed + decoder.finish() != decoded) std::abort();
  return 0;
}
