#include <filesystem>
#include <limits>
#include <random>

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

// Loads the folder and uses it on a text; an error from the text names the folder too.
std::function<void(const std::string&)> use_on(std::string text) {
  return [text = std::move(text)](const std::string& path) {
    auto tokenizer = Tokenizer::from_folder(path);
    try {
      std::vector<int32_t> ids = tokenizer->encode(text);
      if (!is_valid_utf8(tokenizer->decode(ids))) std::abort();
    } catch (Error& error) {
      error.within(path);
      throw;
    }
  };
}

std::function<std::string(const Folder&)> folder_with(std::string name, std::string bytes) {
  return [name = std::move(name), bytes = std::move(bytes)](const Folder& folder) {
    folder.write(name, bytes);
    return folder.path();
  };
}

Case json_case(const std::string& row, const std::string& name, const TokenizerJson& json,
               const std::string& message, Expect expect = Expect::Refuse,
               const std::string& text = "a ab b") {
  return {row,
          name,
          expect,
          folder_with("tokenizer.json", json.text()),
          message,
          use_on(text),
          {ErrorCode::BadInput}};
}

Case raw_case(const std::string& name, const std::string& bytes, const std::string& message) {
  return {"T01", name, Expect::Refuse, folder_with("tokenizer.json", bytes), message, use_on("a")};
}

void add_broken_json(std::vector<Case>& cases) {  // T01
  std::string good = TokenizerJson().text();
  cases.push_back(raw_case("Cut", good.substr(0, good.size() / 2), "tokenizer.json"));
  cases.push_back(raw_case("Empty", "", "tokenizer.json"));
  cases.push_back(raw_case("NotUtf8", good.substr(0, 20) + "\xFF" + good.substr(20), "byte "));
  cases.push_back(raw_case("Deep", std::string(100'000, '['), "nested too deep"));
  cases.push_back(raw_case("DuplicateKey", R"({"model":{},"model":{}})", "model"));
  TokenizerJson twice;
  twice.vocab = R"({"a":0,"a":1})";
  cases.push_back(json_case("T01", "DuplicateToken", twice, "a"));
  cases.push_back(
      raw_case("LongString", "{\"a\":\"" + std::string(20 << 20, 'a') + "\"}", "model"));
  Case huge{"T01", "GigabyteString", Expect::Refuse, {}, "tokenizer.json", use_on("a")};
  huge.make = [](const Folder& folder) {
    std::string path = folder.write("tokenizer.json", "{\"a\":\"");
    std::filesystem::resize_file(path, size_t{1} << 30);
    return folder.path();
  };
  cases.push_back(huge);
}

void add_vocabularies(std::vector<Case>& cases) {  // T02
  auto vocabulary = [&](const std::string& name, const std::string& vocab,
                        const std::string& message, Expect expect = Expect::Refuse) {
    TokenizerJson json;
    json.vocab = vocab;
    cases.push_back(json_case("T02", name, json, message, expect, "ab"));
  };
  vocabulary("Negative", R"({"a":0,"b":1,"ab":-1})", "got -1");
  vocabulary("TwoTo31", R"({"a":0,"b":1,"ab":2147483648})", "got 2147483648");
  vocabulary("TwoTo40", R"({"a":0,"b":1,"ab":1099511627776})", "got 1099511627776");
  vocabulary("Twice", R"({"a":0,"b":1,"ab":1})", "two tokens have one id");
  vocabulary("Fraction", R"({"a":0,"b":1,"ab":2.5})", "model.vocab.ab");
  vocabulary("Text", R"({"a":0,"b":1,"ab":"2"})", "model.vocab.ab");
  vocabulary("Gap", R"({"a":0,"b":1,"ab":16777216})", "", Expect::Accept);
  TokenizerJson list;
  list.vocab = "[]";
  cases.push_back(json_case("T02", "List", list, "model.vocab"));
}

void add_merges(std::vector<Case>& cases) {  // T03
  auto merges = [&](const std::string& name, const std::string& list, const std::string& message,
                    Expect expect = Expect::Refuse) {
    TokenizerJson json;
    json.merges = list;
    cases.push_back(json_case("T03", name, json, message, expect));
  };
  merges("UnknownPiece", R"(["a z"])", "got z");
  merges("UnknownResult", R"(["b a"])", "got ba");
  merges("OnePart", R"(["ab"])", "model.merges[0]");
  merges("ThreeParts", R"(["a b c"])", "model.merges[0]");
  merges("EmptyPart", R"(["a "])", "model.merges[0]");
  merges("ListOfThree", R"([["a","b","c"]])", "model.merges[0]");
  merges("Number", "[7]", "model.merges[0]");
  TokenizerJson twice;
  twice.merges = R"(["a b"],"merges":["a b"])";
  cases.push_back(json_case("T03", "ListTwice", twice, "merges"));
}

void add_patterns(std::vector<Case>& cases) {  // T04
  auto pattern = [&](const std::string& name, const std::string& regex, Expect expect,
                     const std::string& text) {
    TokenizerJson json;
    json.pre_tokenizer =
        R"({"type":"Split","pattern":{"Regex":")" + regex + R"("},"behavior":"Isolated"})";
    Case made =
        json_case("T04", name, json, expect == Expect::Accept ? "" : "pattern", expect, text);
    made.codes = {ErrorCode::BadInput, ErrorCode::Unsupported};
    made.most_seconds = 1.5;
    cases.push_back(made);
  };
  std::string letters = std::string(100'000, 'a') + "!";
  pattern("Invalid", "(a", Expect::Refuse, "a");
  pattern("InvalidClass", "[z-a]", Expect::Refuse, "a");
  pattern("LongPattern", std::string(100'000, 'a'), Expect::Refuse, "a");
  pattern("NestedPlus", "(a+)+$", Expect::RefuseOrAccept, letters);
  pattern("NestedStar", "(.*)*", Expect::RefuseOrAccept, letters);
  pattern("Alternation", "(a|a)*b", Expect::RefuseOrAccept, letters);
  pattern("BackReference", "(a*)\\\\1b", Expect::RefuseOrAccept, letters);
  pattern("LookBehind", "(?<=a)b", Expect::RefuseOrAccept, letters);
  pattern("Verb", "(*COMMIT)a", Expect::Refuse, "a");
  pattern("Recursion", "(?R)", Expect::Refuse, letters);
  TokenizerJson replace;
  replace.normalizer = R"({"type":"Replace","pattern":{"Regex":"(a+)+$"},"content":"b"})";
  Case made = json_case("T04", "Normalizer", replace, "pattern", Expect::RefuseOrAccept, letters);
  made.most_seconds = 1.5;
  cases.push_back(made);

  // Each stage puts 500 letters in place of one: without a limit three of them make a text of 125
  // MB.
  std::string grow =
      R"({"type":"Replace","pattern":{"String":"a"},"content":")" + std::string(500, 'a') + "\"}";
  std::string stages = grow + "," + grow + "," + grow;
  TokenizerJson growing;
  growing.normalizer = R"({"type":"Sequence","normalizers":[)" + stages + "]}";
  cases.push_back(json_case("T04", "GrowingNormalizers", growing, "too long", Expect::Refuse, "a"));
}

void add_unknown_types(std::vector<Case>& cases) {  // T05
  auto unknown = [&](const std::string& name, const TokenizerJson& json,
                     const std::string& message) {
    Case made = json_case("T05", name, json, message);
    made.codes = {ErrorCode::Unsupported};
    cases.push_back(made);
  };
  constexpr const char* kStrange = R"({"type":"Strange"})";
  TokenizerJson json;
  json.model = kStrange;
  unknown("Model", json, "model.type: this tokenizer model is not supported; got Strange");
  json = {};
  json.normalizer = kStrange;
  unknown("Normalizer", json, "normalizer.type: this normalizer is not supported; got Strange");
  json = {};
  json.pre_tokenizer = R"({"type":"Sequence","pretokenizers":[{"type":"Strange"}]})";
  unknown("PreTokenizer", json, "pre_tokenizer.pretokenizers[0].type");
  json = {};
  json.post_processor = kStrange;
  unknown("PostProcessor", json, "got Strange");
  json = {};
  json.decoder = kStrange;
  unknown("Decoder", json, "got Strange");
  TokenizerJson deep;
  deep.normalizer = R"({"type":"Lowercase"})";
  for (int i = 0; i < 30; ++i) {
    deep.normalizer = R"({"type":"Sequence","normalizers":[)" + deep.normalizer + "]}";
  }
  cases.push_back(json_case("T05", "DeepSequence", deep, "nested too deep"));
}

std::string precompiled(const std::string& blob) {
  return R"({"type":"Precompiled","precompiled_charsmap":")" + base64(blob) + R"("})";
}

void add_charsmaps(std::vector<Case>& cases) {  // T06
  auto charsmap = [&](const std::string& name, const std::string& blob, const std::string& message,
                      Expect expect = Expect::Refuse) {
    TokenizerJson json;
    json.normalizer = precompiled(blob);
    cases.push_back(json_case("T06", name, json, message, expect, "A\tb"));
    ModelFile model;
    model.charsmap = blob;
    cases.push_back({"T06", name + "Model", expect, folder_with("tokenizer.model", model.bytes()),
                     message, use_on("A\tb")});
  };
  std::string good = CharsmapFile().blob();
  charsmap("Good", good, "", Expect::Accept);
  charsmap("Cut", good.substr(0, 1000), "charsmap");
  charsmap("ThreeBytes", good.substr(0, 3), "charsmap");
  charsmap("NoEnd", good.substr(0, good.size() - 1), "NUL");
  CharsmapFile loop;
  loop.units['A' ^ 256] = 'A' | (256u ^ (256u ^ 'A')) << 10;  // its children are the root's
  charsmap("Loop", loop.blob(), "back into itself");
  CharsmapFile outside;
  outside.units['A' ^ 256] |= 1u << 20 << 10;
  charsmap("OutsideUnit", outside.blob(), "outside");
  CharsmapFile value;
  value.units[300] = 1u << 31 | 5000;
  charsmap("OutsideValue", value.blob(), "outside");
  CharsmapFile half;
  half.replacements = "\u00e9\0 \0";
  half.replacements = std::string("\xC3\xA9\0 \0", 5);
  half.units[300] = 1u << 31 | 1;
  half.units[301] = 1u << 31 | 3;
  charsmap("HalfCharacter", half.blob(), "middle of a character");
  CharsmapFile latin1;
  latin1.replacements = std::string("\xE9\0 \0", 4);
  charsmap("NotUtf8", latin1.blob(), "UTF-8");
  std::mt19937 random(5);
  CharsmapFile noise;
  for (uint32_t& unit : noise.units) unit = static_cast<uint32_t>(random());
  charsmap("Random", noise.blob(), "trie");
  TokenizerJson not_base64;
  not_base64.normalizer = R"({"type":"Precompiled","precompiled_charsmap":"!!!!"})";
  cases.push_back(json_case("T06", "NotBase64", not_base64, "not base64"));
}

// A chain of 300 units: no rule is that long, and each character of a text would walk it.
void add_deep_charsmap(std::vector<Case>& cases) {
  CharsmapFile deep;
  deep.units = unused_units(301 * 256);
  deep.units[0] = 256u << 10;
  for (uint32_t i = 1; i < 300; ++i) {
    uint32_t node = i * 256 ^ 'A', offset = node ^ (i + 1) * 256;
    deep.units[node] = 'A' | offset << 10;
  }
  TokenizerJson json;
  json.normalizer = precompiled(deep.blob());
  cases.push_back(json_case("T06", "Deep", json, "too deep"));
}

void add_model_files(std::vector<Case>& cases) {  // T07
  auto model = [&](const std::string& name, const std::string& bytes, const std::string& message,
                   Expect expect = Expect::Refuse) {
    Case made{"T07", name, expect, folder_with("tokenizer.model", bytes), message, use_on("aa")};
    made.codes = {ErrorCode::BadInput, ErrorCode::Unsupported};
    cases.push_back(made);
  };
  auto with = [](std::vector<ModelPiece> more) {
    ModelFile file;
    file.pieces.insert(file.pieces.end(), more.begin(), more.end());
    return file;
  };
  for (int kind : {1, 2}) {
    ModelFile good;
    good.kind = kind;
    model("Good" + std::to_string(kind), good.bytes(), "", Expect::Accept);
    ModelFile nan = with({{"b", std::numeric_limits<float>::quiet_NaN()}});
    nan.kind = kind;
    model("NanScore" + std::to_string(kind), nan.bytes(), "score is out of range");
  }
  model("InfiniteScore", with({{"b", std::numeric_limits<float>::infinity()}}).bytes(), "score");
  ModelFile none;
  none.pieces = {};
  model("NoPieces", none.bytes(), "neither a SentencePiece model nor");
  ModelFile no_unk;
  no_unk.pieces = {{"a", -1}};
  model("NoUnknown", no_unk.bytes(), "no unknown piece");
  model("TwoUnknown", with({{"<unk2>", 0, 2}}).bytes(), "two unknown pieces");
  model("EmptyPiece", with({{"", -1}}).bytes(), "piece is empty");
  model("DuplicatePiece", with({{"a", -1}}).bytes(), "token appears twice");
  model("NotUtf8", with({{"\xFF", -1}}).bytes(), "not valid UTF-8");
  model("UnknownType", with({{"b", -1, 9}}).bytes(), "unknown type of piece");
  model("LongPiece", with({{std::string(5000, 'a'), -1}}).bytes(), "piece is too long");
  for (int count : {255, 256}) {
    ModelFile bytes = with(byte_pieces(count));
    bytes.byte_fallback = true;
    model("Bytes" + std::to_string(count), bytes.bytes(), "byte pieces do not fit",
          count == 256 ? Expect::Accept : Expect::Refuse);
  }
  model("BytesWithoutFallback", with(byte_pieces(256)).bytes(), "byte pieces do not fit");
  model("BytesNamedWrong", with({{"<0xZZ>", 0, 6}}).bytes(), "byte pieces do not fit");
  model("UnusedMerge", with({{"aaa", -4, 5}}).bytes(), "marked as unused");
  model("WordKind",
        "\x0A\x03\x0A\x01"
        "a\x12\x02\x18\x03",
        "model_type");
  // A piece of 2^31 bytes by its length field, in a file of a few.
  model("LengthTwoTo31",
        "\x0A\x80\x80\x80\x80\x08"
        "abc",
        "longer than its message");
  std::string good = ModelFile().bytes();
  model("Cut", good.substr(0, good.size() - 1), "protobuf");
  model("Noise", "\x0A" + repeated("\xF1\x8E\x07", 3000), "protobuf");
  model("NeitherKind", "hello world", "neither a SentencePiece model nor");
  model("RankFile", "YQ== 0\nYg== x\n", "line 2");
}

}  // namespace

std::vector<Case> tokenizer_file_cases() {
  std::vector<Case> cases;
  add_broken_json(cases);
  add_vocabularies(cases);
  add_merges(cases);
  add_patterns(cases);
  add_unknown_types(cases);
  add_charsmaps(cases);
  add_deep_charsmap(cases);
  add_model_files(cases);
  return cases;
}

}  // namespace tenon::bad_inputs
