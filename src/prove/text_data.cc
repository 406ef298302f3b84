#include "prove/text_data.h"

#include <algorithm>
#include <functional>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "data/json.h"

namespace tenon::prove {
namespace {

// Calls `take` for each line that is not blank. What it throws is collected under the line's name.
void for_each_line(const std::string& path, const std::function<bool(const data::Json&)>& take) {
  std::string text = read_text_file(path, kLimits.prompt_bytes);
  Problems problems;
  size_t number = 0;
  bool more = true;
  for (size_t begin = 0; more && begin < text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (strip_white_space(line).empty()) continue;
    try {
      more = take(data::parse_json(line));
    } catch (Error& error) {
      problems.add(error.within(path + ": line " + std::to_string(number)));
      more = problems.size() < 20;
    }
  }
  problems.throw_if_any();
}

std::string text_of(const data::Json& line, std::initializer_list<const char*> fields) {
  std::vector<std::string> names;
  for (const char* field : fields) {
    if (const data::Json* value = line.find(field)) return value->as_string(field);
    names.push_back("\"" + std::string(field) + "\"");
  }
  throw Error(ErrorCode::BadInput, "line lacks its text").accepted(join(names, " or "));
}

std::string id_of(const data::Json& line) {
  const data::Json* id = line.find("id");
  if (!id || id->is_null()) return "";
  return id->is_string() ? id->as_string("id") : id->dump();
}

[[noreturn]] void missing_output(const std::string& path, const Article& article, size_t index) {
  throw Error(ErrorCode::BadInput, "the original's outputs lack an article")
      .at(path)
      .got(article.id.empty() ? "none for article " + std::to_string(index + 1)
                              : "none with the id " + article.id);
}

}  // namespace

std::vector<Article> read_articles(const std::string& path, int64_t most) {
  std::vector<Article> articles;
  for_each_line(path, [&](const data::Json& line) {
    articles.push_back({.id = id_of(line),
                        .article = text_of(line, {"article"}),
                        .highlights = text_of(line, {"highlights"})});
    return most <= 0 || static_cast<int64_t>(articles.size()) < most;
  });
  if (articles.empty()) throw Error(ErrorCode::BadInput, "file has no article").at(path);
  return articles;
}

std::vector<std::string> read_outputs(const std::string& path,
                                      const std::vector<Article>& articles) {
  std::vector<std::string> texts, ids;
  for_each_line(path, [&](const data::Json& line) {
    texts.push_back(text_of(line, {"text", "summary"}));
    ids.push_back(id_of(line));
    return true;
  });
  auto named = [](const std::string& id) { return !id.empty(); };
  bool by_id = std::all_of(ids.begin(), ids.end(), named) &&
               std::all_of(articles.begin(), articles.end(),
                           [&](const Article& article) { return named(article.id); });
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < ids.size(); ++i) places.emplace(ids[i], i);
  std::vector<std::string> outputs;
  for (size_t i = 0; i < articles.size(); ++i) {
    size_t place = i;
    if (by_id) {
      auto found = places.find(articles[i].id);
      place = found == places.end() ? texts.size() : found->second;
    }
    if (place >= texts.size()) missing_output(path, articles[i], i);
    outputs.push_back(texts[place]);
  }
  return outputs;
}

std::vector<std::string> read_texts(const std::string& path) {
  std::vector<std::string> texts;
  if (path.ends_with(".jsonl")) {
    for_each_line(path, [&](const data::Json& line) {
      texts.push_back(text_of(line, {"text", "page"}));
      return true;
    });
  } else {
    texts.push_back(read_text_file(path, kLimits.prompt_bytes));
    if (!is_valid_utf8(texts[0])) throw Error(ErrorCode::BadInput, "file is not UTF-8").at(path);
  }
  std::erase(texts, "");
  if (texts.empty()) throw Error(ErrorCode::BadInput, "file has no text").at(path);
  return texts;
}

size_t white_space_bytes(std::string_view text) {
  if (text.empty()) return 0;
  auto byte = static_cast<unsigned char>(text[0]);
  if (byte == ' ' || (byte >= '\t' && byte <= '\r') || (byte >= 0x1c && byte <= 0x1f)) return 1;
  if (byte < 0x80) return 0;
  static constexpr std::string_view kWide[] = {
      "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81",
      "\xE2\x80\x82", "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86",
      "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8",
      "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"};
  for (std::string_view space : kWide) {
    if (text.starts_with(space)) return space.size();
  }
  return 0;
}

std::string_view strip_white_space(std::string_view text) {
  while (size_t bytes = white_space_bytes(text)) text.remove_prefix(bytes);
  bool more = true;
  while (more && !text.empty()) {
    more = false;
    for (size_t bytes = 1; bytes <= std::min<size_t>(3, text.size()); ++bytes) {
      if (white_space_bytes(text.substr(text.size() - bytes)) != bytes) continue;
      text.remove_suffix(bytes);
      more = true;
      break;
    }
  }
  return text;
}

}  // namespace tenon::prove
