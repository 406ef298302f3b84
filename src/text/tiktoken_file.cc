#include "text/tiktoken_file.h"

#include "base/error.h"
#include "base/limits.h"
#include "base/number.h"
#include "text/base64.h"
#include "text/byte_level.h"
#include "text/component_json.h"

namespace tenon::text {

using data::Json;

namespace {

struct RankLine {
  std::string bytes;
  int64_t rank;
};

std::optional<RankLine> parse_line(std::string_view line) {
  size_t space = line.find(' ');
  if (space == line.npos) return std::nullopt;
  std::optional<std::string> bytes = decode_base64(line.substr(0, space));
  std::optional<int64_t> rank = parse_number<int64_t>(line.substr(space + 1));
  if (!bytes || bytes->empty() || !rank) return std::nullopt;
  return RankLine{*std::move(bytes), *rank};
}

std::string spelled(std::string_view bytes) {
  std::string out;
  for (char byte : bytes) append_byte_char(out, static_cast<uint8_t>(byte));
  return out;
}

std::string_view next_line(std::string_view& text) {
  size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

Json read_tiktoken_file(std::string_view text) {
  Json::Object vocab;
  ProblemList problems;
  for (size_t number = 1; !text.empty(); ++number) {
    std::string_view line = next_line(text);
    if (line.empty()) continue;
    std::optional<RankLine> parsed = parse_line(line);
    if (parsed) {
      vocab.emplace_back(spelled(parsed->bytes), parsed->rank);
    } else {
      problems.add(Error(ErrorCode::BadInput, "not a line of base64, a space and a rank")
                       .at("line " + std::to_string(number))
                       .got(line.substr(0, 80)));
    }
    if (static_cast<int64_t>(vocab.size()) > kLimits.vocabulary) {
      throw Error(ErrorCode::BadInput, "vocabulary is too large");
    }
  }
  if (vocab.empty()) problems.add(Error(ErrorCode::BadInput, "file has no ranks"));
  problems.throw_if_any();
  return Json::Object{
      {"type", "BPE"}, {"ignore_merges", true}, {"merge_by_id", true}, {"vocab", std::move(vocab)}};
}

bool looks_like_tiktoken(std::string_view text) {
  return parse_line(next_line(text)).has_value();
}

}  // namespace tenon::text
