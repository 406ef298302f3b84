#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::prove {

// A text to summarize with its gold summary: a line of CNN/DailyMail as JSON.
struct Article {
  std::string id, article, highlights;
};
// JSONL with "article" and "highlights", "id" where there is one; blank lines are skipped. Throws
// one ErrorCode::BadInput that names every wrong line. At most `most` articles; 0: all.
std::vector<Article> read_articles(const std::string& path, int64_t most);

// What the original implementation wrote for these articles, in their order: JSONL with "text"
// (or "summary"), matched by "id" where every line has one, else line by line. Throws
// ErrorCode::BadInput where an article has no text.
std::vector<std::string> read_outputs(const std::string& path,
                                      const std::vector<Article>& articles);

// Texts for perplexity: a .jsonl file holds one a line, as "text" or "page"; any other file is one
// text whole.
std::vector<std::string> read_texts(const std::string& path);

// The characters that Python's \s and str.strip() know, as UTF-8 at the start of `text`: their
// bytes, or 0 where it starts with something else.
size_t white_space_bytes(std::string_view text);
// str.strip() of Python.
std::string_view strip_white_space(std::string_view text);

}  // namespace tenon::prove
