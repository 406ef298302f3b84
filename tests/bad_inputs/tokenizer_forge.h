#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tenon::bad_inputs {

// The parts of a small tokenizer.json as JSON text; a case replaces what it is about.
struct TokenizerJson {
  std::string vocab = R"({"<unk>":0,"a":1,"b":2,"ab":3,"\u2581":4})";
  std::string merges = R"(["a b"])";
  std::string model;  // the whole model, where it is not this BPE
  std::string added = "[]";
  std::string normalizer = "null", pre_tokenizer = "null", post_processor = "null",
              decoder = R"({"type":"Fuse"})";
  std::string text() const;
};

// A SentencePiece model file. Types: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6
// byte.
struct ModelPiece {
  std::string text;
  float score = -1;
  int type = 1;
};
struct ModelFile {
  std::vector<ModelPiece> pieces = {{"<unk>", 0, 2}, {"<s>", 0, 3}, {"</s>", 0, 3},
                                    {"\u2581", -1},  {"a", -2},     {"aa", -3}};
  int kind = 2;  // 1: unigram, 2: bpe
  bool byte_fallback = false;
  std::string charsmap;
  std::string bytes() const;
};
std::vector<ModelPiece> byte_pieces(int count);
std::string proto_bytes(int field, const std::string& data);

// A charsmap with the rules "A" -> "a" and tab -> space, and its parts.
struct CharsmapFile {
  std::vector<uint32_t> units;
  std::string replacements;
  CharsmapFile();
  std::string blob() const;
};
std::vector<uint32_t> unused_units(size_t count);
std::string base64(const std::string& bytes);

}  // namespace tenon::bad_inputs
