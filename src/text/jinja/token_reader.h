#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/lexer.h"

namespace tenon::text {

// The tokens of a template, read one after the other by the parsers of expressions and tags.
class TokenReader {
 public:
  explicit TokenReader(std::string_view source) : source_(source), tokens_(lex_jinja(source)) {}

  using Kind = JinjaToken::Kind;
  const JinjaToken& now() const { return tokens_[at_]; }
  const JinjaToken& next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  const JinjaToken& take() {
    const JinjaToken& token = tokens_[at_];
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool is_symbol(std::string_view text) const { return now().is(Kind::Symbol, text); }
  bool is_name(std::string_view text) const { return now().is(Kind::Name, text); }
  bool skip_symbol(std::string_view text) { return is_symbol(text) && (take(), true); }
  bool skip_name(std::string_view text) { return is_name(text) && (take(), true); }
  void expect_symbol(std::string_view text);
  void expect(Kind kind, std::string_view what);
  std::string expect_name();

  Error error(std::string_view problem, ErrorCode code = ErrorCode::BadInput) const {
    return syntax_error(source_, now().place, problem, code);
  }
  Error error_at(size_t place, std::string_view problem, ErrorCode code) const {
    return syntax_error(source_, place, problem, code);
  }
  Error unexpected(std::string_view accepted) const;

  // Counts nested constructs, which are recursion of our own stack.
  class Nested {
   public:
    explicit Nested(TokenReader& reader);
    ~Nested() { --reader_.depth_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;

   private:
    TokenReader& reader_;
  };

 private:
  std::string_view source_;
  std::vector<JinjaToken> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace tenon::text
