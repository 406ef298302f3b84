#include "tokenizer_forge.h"

#include <cstdio>
#include <cstring>

#include "text/base64.h"

namespace tenon::bad_inputs {
namespace {

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 128; value >>= 7) out += static_cast<char>(value | 128);
  return out + static_cast<char>(value);
}

std::string proto_number(int field, uint64_t value) {
  return varint(static_cast<uint64_t>(field) << 3) + varint(value);
}

template <class T>
std::string raw(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

}  // namespace

std::string TokenizerJson::text() const {
  std::string made = model;
  if (made.empty()) {
    made = R"({"type":"BPE","unk_token":"<unk>","vocab":)" + vocab + R"(,"merges":)" + merges + "}";
  }
  return R"({"version":"1.0","added_tokens":)" + added + R"(,"normalizer":)" + normalizer +
         R"(,"pre_tokenizer":)" + pre_tokenizer + R"(,"post_processor":)" + post_processor +
         R"(,"decoder":)" + decoder + R"(,"model":)" + made + "}";
}

std::string proto_bytes(int field, const std::string& data) {
  return varint(static_cast<uint64_t>(field) << 3 | 2) + varint(data.size()) + data;
}

std::string ModelFile::bytes() const {
  std::string out;
  for (const ModelPiece& piece : pieces) {
    std::string score = varint(2 << 3 | 5) + raw(piece.score);
    std::string type = proto_number(3, static_cast<uint64_t>(piece.type));
    out += proto_bytes(1, proto_bytes(1, piece.text) + score + type);
  }
  std::string trainer = proto_number(3, static_cast<uint64_t>(kind));
  if (byte_fallback) trainer += proto_number(35, 1);
  out += proto_bytes(2, trainer);
  return out + proto_bytes(3, charsmap.empty() ? "" : proto_bytes(2, charsmap));
}

std::vector<ModelPiece> byte_pieces(int count) {
  std::vector<ModelPiece> pieces;
  for (int byte = 0; byte < count; ++byte) {
    char name[16];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    pieces.push_back({name, 0, 6});
  }
  return pieces;
}

std::vector<uint32_t> unused_units(size_t count) {
  std::vector<uint32_t> units(count);
  // Their labels lead to them from the last offset of each block, which nothing uses.
  for (uint32_t i = 0; i < count; ++i) units[i] = (i ^ 0xFF) & 0xFF;
  return units;
}

CharsmapFile::CharsmapFile() : units(unused_units(512)), replacements("a\0 \0", 4) {
  // Unit: label, 1 << 8 where a value follows, offset << 10; a value has bit 31.
  units[0] = 256u << 10;
  units[256 ^ 'A'] = 'A' | 1u << 8 | (300u ^ 256u ^ 'A') << 10;
  units[300] = 1u << 31;
  units[256 ^ '\t'] = '\t' | 1u << 8 | (301u ^ 256u ^ '\t') << 10;
  units[301] = 1u << 31 | 2;
}

std::string CharsmapFile::blob() const {
  std::string out = raw(static_cast<uint32_t>(units.size() * 4));
  out.append(reinterpret_cast<const char*>(units.data()), units.size() * 4);
  return out + replacements;
}

std::string base64(const std::string& bytes) {
  return text::encode_base64(bytes);
}

}  // namespace tenon::bad_inputs
