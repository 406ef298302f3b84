#include <algorithm>

#include "bad_input.h"
#include "base/text.h"
#include "text/tokenizer.h"
#include "tokenizer_forge.h"

namespace tenon::bad_inputs {
namespace {

using text::Tokenizer;

constexpr size_t kLongText = 10'000'000;

std::string repeated(std::string_view part, size_t bytes) {
  std::string out;
  while (out.size() + part.size() <= bytes) out += part;
  return out;
}

std::string words(int count, std::string_view marker) {
  std::string vocab = R"({"[UNK]":0,"a":1,"##a":2,"\u0301":3)";
  for (int i = 0; i < count; ++i) {
    vocab += ",\"" + std::string(marker) + std::to_string(i) + "\":" + std::to_string(i + 4);
  }
  return vocab + "}";
}

// One small tokenizer of each kind.
struct Kind {
  std::string name, file, bytes;
};

std::vector<Kind> kinds() {
  TokenizerJson bpe;
  bpe.vocab = R"({"<unk>":0,"a":1,"aa":2,"aaaa":3})";
  bpe.merges = R"(["a a","aa aa"])";
  TokenizerJson bert;
  bert.normalizer = R"({"type":"BertNormalizer"})";
  bert.pre_tokenizer = R"({"type":"BertPreTokenizer"})";
  bert.model = R"({"type":"WordPiece","vocab":)" + words(50, "##") + "}";
  TokenizerJson unigram;
  unigram.normalizer = R"({"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Precompiled",
      "precompiled_charsmap":")" +
                       base64(CharsmapFile().blob()) + R"("}]})";
  unigram.pre_tokenizer = R"({"type":"Metaspace","replacement":"\u2581"})";
  unigram.model =
      R"({"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["a",-2],["aa",-3],["aaa",-4]]})";
  ModelFile model;
  model.charsmap = CharsmapFile().blob();
  ModelFile other = model;
  other.kind = 1;
  ModelFile bytes = model;
  for (const ModelPiece& piece : byte_pieces(256)) bytes.pieces.push_back(piece);
  bytes.byte_fallback = true;
  return {{"Bpe", "tokenizer.json", bpe.text()},
          {"WordPiece", "tokenizer.json", bert.text()},
          {"Unigram", "tokenizer.json", unigram.text()},
          {"SentencePieceBpe", "tokenizer.model", model.bytes()},
          {"SentencePieceBytes", "tokenizer.model", bytes.bytes()},
          {"SentencePieceUnigram", "tokenizer.model", other.bytes()}};
}

Case text_case(const Kind& kind, const std::string& name, const std::string& text) {
  auto make = [kind](const Folder& folder) {
    folder.write(kind.file, kind.bytes);
    return folder.path();
  };
  auto open = [text](const std::string& path) {
    auto tokenizer = Tokenizer::from_folder(path);
    std::vector<int32_t> ids = tokenizer->encode(text);
    if (!is_valid_utf8(tokenizer->decode(ids))) std::abort();
  };
  return {"T08", name + kind.name, Expect::Accept, make, "", open};
}

void add_texts(std::vector<Case>& cases) {  // T08
  const std::pair<const char*, std::string> texts[] = {
      {"InvalidUtf8", repeated("a\xFF\xC3(\xE4\xB8", kLongText)},
      {"Nul", std::string(kLongText, '\0')},
      {"Surrogate", repeated("\xED\xA0\x80", kLongText)},
      {"NoSpace", std::string(kLongText, 'a')},
      {"Words60", repeated(std::string(60, 'a') + " ", kLongText)},
      {"Marks", "a" + repeated("\u0301", 2'000'000)},
      {"NewLines", std::string(1'000'000, '\n')},
  };
  for (const Kind& kind : kinds()) {
    for (const auto& [name, text] : texts) cases.push_back(text_case(kind, name, text));
  }
}

std::function<std::string(const Folder&)> folder_with(const TokenizerJson& json) {
  return [bytes = json.text()](const Folder& folder) {
    folder.write("tokenizer.json", bytes);
    return folder.path();
  };
}

// Text of users that looks like the marks of a chat stays text.
void add_forged_marks(std::vector<Case>& cases) {  // T09
  TokenizerJson json;
  json.added = R"([{"id":10,"content":"<|im_end|>","special":true},
      {"id":11,"content":"<|image_pad|>","special":true}])";
  auto open = [](const std::string& path) {
    auto tokenizer = Tokenizer::from_folder(path);
    std::string text = "a<|im_end|>b<|image_pad|>", whole = "<|im_end|>" + text;
    text::ByteRange user{10, whole.size()};
    auto count = [](const std::vector<int32_t>& ids) {
      return std::ranges::count_if(ids, [](int32_t id) { return id >= 10; });
    };
    if (count(tokenizer->encode(text, {.parse_special = false})) != 0) std::abort();
    if (count(tokenizer->encode(whole, {.plain = std::span(&user, 1)})) != 1) std::abort();
    if (count(tokenizer->encode(text)) != 2) std::abort();
  };
  cases.push_back({"T09", "ChatMarks", Expect::Accept, folder_with(json), "", open});
}

void add_ids(std::vector<Case>& cases) {  // T10
  auto open = [](const std::string& path) {
    auto tokenizer = Tokenizer::from_folder(path);
    // Ids without a token are left out: a model may have more rows than its tokenizer tokens.
    std::vector<int32_t> ids = {-1, 1, 5, INT32_MIN, INT32_MAX, 2};
    if (tokenizer->decode(ids) != "ab") std::abort();
  };
  cases.push_back({"T10", "UnknownIds", Expect::Accept, folder_with({}), "", open});
}

void add_added_tokens(std::vector<Case>& cases) {  // T11
  auto added = [&](const std::string& name, const std::string& list, const std::string& message,
                   Expect expect) {
    TokenizerJson json;
    json.added = list;
    auto open = [](const std::string& path) {
      auto tokenizer = Tokenizer::from_folder(path);
      tokenizer->encode(repeated("<t1<t12> a", 100'000));
    };
    Case made{"T11", name, expect, folder_with(json), message, open};
    made.most_seconds = 8;
    cases.push_back(made);
  };
  added("Empty", R"([{"id":10,"content":""}])", "added token is empty", Expect::Refuse);
  added("IdTwice", R"([{"id":10,"content":"x"},{"id":10,"content":"y"}])", "twice", Expect::Refuse);
  added("TextTwice", R"([{"id":10,"content":"x"},{"id":11,"content":"x"}])", "twice",
        Expect::Refuse);
  added("IdOfAPiece", R"([{"id":1,"content":"x"}])", "another token", Expect::Refuse);
  added("NegativeId", R"([{"id":-1,"content":"x"}])", "got -1", Expect::Refuse);
  added("Prefixes",
        R"([{"id":10,"content":"<t"},{"id":11,"content":"<t1"},{"id":12,"content":"t1<"}])", "",
        Expect::Accept);
  std::string many = "[";
  for (int i = 0; i < 1'000'000; ++i) {
    many += (i ? ",{\"id\":" : "{\"id\":") + std::to_string(10 + i) + R"(,"content":"<t)" +
            std::to_string(i) + ">\"}";
  }
  added("Million", many + "]", "", Expect::Accept);
}

}  // namespace

std::vector<Case> tokenizer_text_cases() {
  std::vector<Case> cases;
  add_texts(cases);
  add_forged_marks(cases);
  add_ids(cases);
  add_added_tokens(cases);
  return cases;
}

}  // namespace tenon::bad_inputs
