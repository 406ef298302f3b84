#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "text/jinja/expression_parser.h"
#include "text/jinja/syntax.h"

namespace tenon::text {
namespace {

using Kind = Stmt::Kind;
using Token = JinjaToken::Kind;

// Tags of Jinja and its extensions that no chat template has a use for here, with the reason.
constexpr std::pair<std::string_view, std::string_view> kRefusedTags[] = {
    {"include", "a template is one file"},     {"import", "a template is one file"},
    {"from", "a template is one file"},        {"extends", "a template is one file"},
    {"block", "a template is one file"},       {"do", "transformers has no such tag"},
    {"autoescape", "a chat is no HTML"},       {"trans", "a chat is not translated"},
    {"pluralize", "a chat is not translated"}, {"debug", "transformers has no such tag"},
};

constexpr std::string_view kTags[] = {"for",  "if",    "set",      "macro",      "call", "filter",
                                      "with", "break", "continue", "generation", "raw"};

class TemplateParser {
 public:
  explicit TemplateParser(std::string_view source) : reader_(source) {}

  Body run() {
    Body body = parse_body({});
    if (reader_.now().kind != Token::End) throw reader_.unexpected("a tag that opens a block");
    return body;
  }

 private:
  using Names = std::initializer_list<std::string_view>;

  // Up to a tag of one of these names, which is not taken, or the end.
  Body parse_body(Names ends) {
    TokenReader::Nested nested(reader_);
    Body body;
    for (;;) {
      const JinjaToken& token = reader_.now();
      if (token.kind == Token::End) return body;
      if (token.kind == Token::Text) {
        Stmt text{Kind::Text, token.place};
        text.text = reader_.take().text;
        add(body, std::move(text));
      } else if (token.kind == Token::OpenOutput) {
        Stmt output{Kind::Output, reader_.take().place};
        output.expressions.push_back(parse_tuple(reader_));
        reader_.expect(Token::CloseOutput, "}}");
        add(body, std::move(output));
      } else {
        bool ends_here =
            reader_.next().kind == Token::Name && std::ranges::count(ends, reader_.next().text) > 0;
        if (ends_here) return body;
        parse_tag(body);
      }
    }
  }

  static void add(Body& body, Stmt statement) {
    body.push_back(std::make_unique<const Stmt>(std::move(statement)));
  }

  void close_tag() { reader_.expect(Token::CloseTag, "%}"); }

  // The body of a block and its end tag.
  Body block_body(const std::string& end) {
    close_tag();
    Body body = parse_body({end});
    finish(end);
    return body;
  }

  void finish(const std::string& end) {
    if (reader_.now().kind == Token::End) {
      throw reader_.error("the template ends within a block").accepted("{% " + end + " %}");
    }
    reader_.take();
    reader_.take();
    close_tag();
  }

  void parse_tag(Body& body) {
    size_t place = reader_.take().place;
    if (reader_.now().kind != Token::Name) throw reader_.unexpected("the name of a tag");
    const std::string name = reader_.now().text;
    refuse_tag(name);
    reader_.take();
    if (name == "if") return add(body, parse_if(place));
    if (name == "for") return add(body, parse_for(place));
    if (name == "set") return add(body, parse_set(place));
    if (name == "macro") return add(body, parse_macro(place));
    if (name == "call") return add(body, parse_call(place));
    if (name == "with") return add(body, parse_with(place));
    if (name == "filter") {
      Stmt block{Kind::FilterBlock, place};
      block.expressions.push_back(parse_filter_chain(reader_));
      block.body = block_body("endfilter");
      return add(body, std::move(block));
    }
    if (name == "generation") {
      Stmt block{Kind::Group, place};
      block.body = block_body("endgeneration");
      return add(body, std::move(block));
    }
    // break or continue
    if (loops_ == 0) throw reader_.error("'" + name + "' stands outside of a loop");
    close_tag();
    add(body, Stmt{name == "break" ? Kind::Break : Kind::Continue, place});
  }

  void refuse_tag(const std::string& name) {
    for (auto [tag, reason] : kRefusedTags) {
      if (name != tag) continue;
      throw reader_.error("tag '" + name + "' is not supported: " + std::string(reason),
                          ErrorCode::Unsupported);
    }
    if (std::ranges::count(kTags, name) > 0 && name != "raw") return;
    if (name.starts_with("end") || name == "else" || name == "elif") {
      throw reader_.error("a tag closes nothing").got(name);
    }
    std::vector<std::string> known(std::begin(kTags), std::end(kTags));
    throw reader_.error("tag '" + name + "' is not supported", ErrorCode::Unsupported)
        .accepted(join(known, ", "));
  }

  Stmt parse_if(size_t place) {
    Stmt statement{Kind::If, place};
    for (;;) {
      ExprPtr condition = parse_iterable(reader_);
      close_tag();
      Body body = parse_body({"elif", "else", "endif"});
      statement.branches.emplace_back(std::move(condition), std::move(body));
      if (!reader_.next().is(Token::Name, "elif")) break;
      reader_.take();
      reader_.take();
    }
    if (reader_.next().is(Token::Name, "else")) {
      reader_.take();
      reader_.take();
      close_tag();
      statement.otherwise = parse_body({"endif"});
    }
    finish("endif");
    return statement;
  }

  Stmt parse_for(size_t place) {
    Stmt loop{Kind::For, place};
    loop.target = parse_target(reader_, false);
    if (!reader_.skip_name("in")) throw reader_.unexpected("in");
    loop.expressions.push_back(parse_iterable(reader_));
    if (reader_.skip_name("if")) loop.condition = parse_condition(reader_);
    loop.recursive = reader_.skip_name("recursive");
    close_tag();
    ++loops_;
    loop.body = parse_body({"endfor", "else"});
    --loops_;
    if (reader_.next().is(Token::Name, "else")) {
      reader_.take();
      reader_.take();
      close_tag();
      loop.otherwise = parse_body({"endfor"});
    }
    finish("endfor");
    return loop;
  }

  Stmt parse_set(size_t place) {
    Stmt set{Kind::Set, place};
    set.target = parse_target(reader_, true);
    if (reader_.skip_symbol("=")) {
      set.expressions.push_back(parse_tuple(reader_));
      close_tag();
      return set;
    }
    set.kind = Kind::SetBlock;
    if (reader_.skip_symbol("|")) set.expressions.push_back(parse_filter_chain(reader_));
    set.body = block_body("endset");
    return set;
  }

  void parse_parameters(Stmt& statement) {
    reader_.expect_symbol("(");
    while (!reader_.is_symbol(")")) {
      std::string name = reader_.expect_name();
      ExprPtr value;
      if (reader_.skip_symbol("=")) {
        value = parse_expression(reader_);
      } else if (!statement.parameters.empty() && statement.parameters.back().second) {
        throw reader_.error("a parameter without a default follows one with a default");
      }
      statement.parameters.emplace_back(std::move(name), std::move(value));
      if (!reader_.skip_symbol(",")) break;
    }
    reader_.expect_symbol(")");
  }

  // A loop around a macro is none for the `break` inside it.
  Body macro_body(const std::string& end) {
    int outer = std::exchange(loops_, 0);
    Body body = block_body(end);
    loops_ = outer;
    return body;
  }

  Stmt parse_macro(size_t place) {
    Stmt macro{Kind::Macro, place};
    macro.name = reader_.expect_name();
    parse_parameters(macro);
    macro.body = macro_body("endmacro");
    return macro;
  }

  Stmt parse_call(size_t place) {
    Stmt call{Kind::Call, place};
    if (reader_.is_symbol("(")) parse_parameters(call);
    call.expressions.push_back(parse_expression(reader_));
    if (call.expressions[0]->kind != Expr::Kind::Call) {
      throw reader_.error("a call block calls nothing");
    }
    call.body = macro_body("endcall");
    return call;
  }

  Stmt parse_with(size_t place) {
    Stmt with{Kind::With, place};
    while (reader_.now().kind != Token::CloseTag) {
      std::string name = reader_.expect_name();
      reader_.expect_symbol("=");
      with.parameters.emplace_back(std::move(name), parse_expression(reader_));
      if (!reader_.skip_symbol(",")) break;
    }
    with.body = block_body("endwith");
    return with;
  }

  TokenReader reader_;
  int loops_ = 0;
};

}  // namespace

std::shared_ptr<const Syntax> parse_jinja(std::string_view source) {
  if (static_cast<int64_t>(source.size()) > kLimits.template_bytes) {
    throw Error(ErrorCode::BadInput, "the chat template is too long")
        .at("chat template")
        .got(format_bytes(source.size()))
        .accepted("at most " + format_bytes(static_cast<uint64_t>(kLimits.template_bytes)));
  }
  if (!is_valid_utf8(source)) {
    throw Error(ErrorCode::BadInput, "the chat template is not valid UTF-8");
  }
  auto syntax = std::make_shared<Syntax>();
  syntax->source = with_plain_newlines(source);
  syntax->body = TemplateParser(syntax->source).run();
  return syntax;
}

}  // namespace tenon::text
