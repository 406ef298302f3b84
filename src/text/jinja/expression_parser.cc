#include "text/jinja/expression_parser.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/limits.h"
#include "base/text.h"
#include "text/jinja/builtins.h"

namespace tenon::text {

void TokenReader::expect_symbol(std::string_view text) {
  if (!skip_symbol(text)) throw unexpected("'" + std::string(text) + "'");
}

void TokenReader::expect(Kind kind, std::string_view what) {
  if (now().kind != kind) throw unexpected(what);
  take();
}

std::string TokenReader::expect_name() {
  if (now().kind != Kind::Name) throw unexpected("a name");
  return take().text;
}

Error TokenReader::unexpected(std::string_view accepted) const {
  const JinjaToken& token = now();
  std::string got = token.text;
  if (token.kind == Kind::CloseOutput) got = "}}";
  if (token.kind == Kind::CloseTag) got = "%}";
  if (token.kind == Kind::End) got = "the end of the template";
  if (token.kind == Kind::Text) got = "text";
  return error("the template's syntax is wrong here").got(got).accepted(accepted);
}

TokenReader::Nested::Nested(TokenReader& reader) : reader_(reader) {
  if (++reader.depth_ <= kLimits.template_syntax_depth) return;
  --reader.depth_;
  throw reader.error("the template nests too deeply")
      .accepted("at most " + std::to_string(kLimits.template_syntax_depth) + " levels");
}

namespace {

using Kind = Expr::Kind;
using Token = JinjaToken::Kind;
using Operands = std::vector<ExprPtr>;

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenReader& reader) : reader_(reader) {}

  ExprPtr conditional() {
    TokenReader::Nested nested(reader_);
    ExprPtr value = any();
    while (reader_.is_name("if")) {
      size_t place = reader_.take().place;
      ExprPtr condition = any(), otherwise;
      if (reader_.skip_name("else")) otherwise = conditional();
      value = make({Kind::Conditional, place},
                   list(std::move(value), std::move(condition), std::move(otherwise)));
    }
    return value;
  }

  ExprPtr any() {
    return chain(Kind::Or, "or",
                 [this] { return chain(Kind::And, "and", [this] { return negation(); }); });
  }

  template <class Parse>
  ExprPtr tuple(Parse&& parse) {
    size_t place = reader_.now().place;
    ExprPtr first = parse();
    if (!reader_.is_symbol(",")) return first;
    Operands operands;
    operands.push_back(std::move(first));
    while (reader_.skip_symbol(",")) {
      if (!begins_expression()) break;
      operands.push_back(parse());
    }
    return make({Kind::Tuple, place}, std::move(operands));
  }

  ExprPtr filters(ExprPtr value) {
    while (reader_.is_symbol("|")) {
      reader_.take();
      value = filter(std::move(value));
    }
    return value;
  }

  ExprPtr filter(ExprPtr value) {
    size_t place = reader_.now().place;
    std::string name = dotted_name();
    if (!find_filter(name)) refuse(place, "filter", name, filter_names());
    Operands operands;
    operands.push_back(std::move(value));
    Expr node{Kind::Filter, place, name};
    if (reader_.is_symbol("(")) arguments(operands, node);
    return make(std::move(node), std::move(operands));
  }

 private:
  static Operands list(ExprPtr a, ExprPtr b, ExprPtr c = nullptr) {
    Operands operands;
    operands.push_back(std::move(a));
    operands.push_back(std::move(b));
    if (c) operands.push_back(std::move(c));
    return operands;
  }

  ExprPtr make(Expr node, Operands operands) {
    for (const ExprPtr& operand : operands) {
      if (operand) node.depth = std::max(node.depth, operand->depth + 1);
    }
    for (const auto& [name, operand] : node.named) {
      node.depth = std::max(node.depth, operand->depth + 1);
    }
    if (node.depth > kLimits.template_syntax_depth) {
      throw reader_.error("an expression is too long")
          .accepted("at most " + std::to_string(kLimits.template_syntax_depth) + " levels");
    }
    node.operands = std::move(operands);
    return std::make_unique<const Expr>(std::move(node));
  }

  [[noreturn]] void refuse(size_t place, const std::string& what, const std::string& name,
                           const std::vector<std::string>& known) {
    Error error =
        reader_.error_at(place, what + " '" + name + "' is not supported", ErrorCode::Unsupported);
    std::vector<std::string> near = nearest_names(name, known);
    if (!near.empty()) error.accepted(join(near, ", "));
    throw error;
  }

  template <class Parse>
  ExprPtr chain(Kind kind, std::string_view word, Parse&& parse) {
    ExprPtr first = parse();
    if (!reader_.is_name(word)) return first;
    size_t place = reader_.now().place;
    Operands operands;
    operands.push_back(std::move(first));
    while (reader_.skip_name(word)) operands.push_back(parse());
    return make({kind, place}, std::move(operands));
  }

  ExprPtr negation() {
    if (!reader_.is_name("not")) return comparison();
    TokenReader::Nested nested(reader_);
    size_t place = reader_.take().place;
    Operands operands;
    operands.push_back(negation());
    return make({Kind::Not, place}, std::move(operands));
  }

  std::optional<CompareOp> take_compare() {
    constexpr std::pair<std::string_view, CompareOp> kSymbols[] = {
        {"==", CompareOp::Equal},     {"!=", CompareOp::NotEqual}, {"<", CompareOp::Less},
        {"<=", CompareOp::LessEqual}, {">", CompareOp::Greater},   {">=", CompareOp::GreaterEqual}};
    for (auto [symbol, op] : kSymbols) {
      if (reader_.skip_symbol(symbol)) return op;
    }
    if (reader_.skip_name("in")) return CompareOp::In;
    if (!reader_.is_name("not") || !reader_.next().is(Token::Name, "in")) return std::nullopt;
    reader_.take();
    reader_.take();
    return CompareOp::NotIn;
  }

  ExprPtr comparison() {
    size_t place = reader_.now().place;
    Operands operands;
    operands.push_back(sum());
    Expr node{Kind::Compare, place};
    for (auto op = take_compare(); op; op = take_compare()) {
      node.compares.push_back(*op);
      operands.push_back(sum());
    }
    if (node.compares.empty()) return std::move(operands[0]);
    return make(std::move(node), std::move(operands));
  }

  template <class Parse>
  ExprPtr binary_chain(std::initializer_list<std::pair<std::string_view, BinaryOp>> symbols,
                       Parse&& parse) {
    ExprPtr left = parse();
    for (;;) {
      auto found =
          std::ranges::find_if(symbols, [&](auto& s) { return reader_.is_symbol(s.first); });
      if (found == symbols.end()) return left;
      size_t place = reader_.take().place;
      Expr node{Kind::Binary, place};
      node.binary = found->second;
      ExprPtr right = parse();
      left = make(std::move(node), list(std::move(left), std::move(right)));
    }
  }

  ExprPtr sum() {
    return binary_chain({{"+", BinaryOp::Add}, {"-", BinaryOp::Subtract}},
                        [this] { return concatenation(); });
  }

  ExprPtr concatenation() {
    ExprPtr first = product();
    if (!reader_.is_symbol("~")) return first;
    size_t place = reader_.now().place;
    Operands operands;
    operands.push_back(std::move(first));
    while (reader_.skip_symbol("~")) operands.push_back(product());
    return make({Kind::Concat, place}, std::move(operands));
  }

  ExprPtr product() {
    return binary_chain(
        {{"*", BinaryOp::Multiply},
         {"/", BinaryOp::Divide},
         {"//", BinaryOp::FloorDivide},
         {"%", BinaryOp::Modulo}},
        [this] {
          return binary_chain({{"**", BinaryOp::Power}}, [this] { return unary(true); });
        });
  }

  ExprPtr unary(bool with_filter) {
    size_t place = reader_.now().place;
    ExprPtr value;
    if (reader_.is_symbol("-") || reader_.is_symbol("+")) {
      TokenReader::Nested nested(reader_);
      Kind kind = reader_.take().text == "-" ? Kind::Negate : Kind::Plus;
      Operands operands;
      operands.push_back(unary(false));
      value = make({kind, place}, std::move(operands));
    } else {
      value = primary();
    }
    value = postfix(std::move(value));
    return with_filter ? filters_and_tests(std::move(value)) : std::move(value);
  }

  bool begins_expression() const {
    const JinjaToken& token = reader_.now();
    if (token.kind == Token::Symbol) {
      return std::string_view("([{-+").find(token.text) != std::string_view::npos;
    }
    bool stops = token.kind == Token::Name &&
                 (token.text == "in" || token.text == "recursive" || token.text == "if");
    return !stops && (token.kind == Token::Name || token.kind == Token::String ||
                      token.kind == Token::Integer || token.kind == Token::Float);
  }

  ExprPtr constant(size_t place, Value value) {
    Expr node{Kind::Constant, place};
    node.constant = std::move(value);
    return make(std::move(node), {});
  }

  ExprPtr primary() {
    const JinjaToken& token = reader_.now();
    size_t place = token.place;
    switch (token.kind) {
      case Token::Name:
        return name();
      case Token::String: {
        std::string text;
        while (reader_.now().kind == Token::String) text += reader_.take().text;
        return constant(place, Value::constant(std::move(text)));
      }
      case Token::Integer:
      case Token::Float:
        return number();
      case Token::Symbol:
        if (token.text == "(") return parenthesis();
        if (token.text == "[") return bracket();
        if (token.text == "{") return brace();
        break;
      default:
        break;
    }
    throw reader_.unexpected("an expression");
  }

  ExprPtr name() {
    const JinjaToken& token = reader_.take();
    const std::string& text = token.text;
    if (text == "true" || text == "True") return constant(token.place, Value::of(true));
    if (text == "false" || text == "False") return constant(token.place, Value::of(false));
    if (text == "none" || text == "None") return constant(token.place, Value::none());
    return make({Kind::Name, token.place, text}, {});
  }

  ExprPtr number() {
    const JinjaToken& token = reader_.now();
    const char *begin = token.text.data(), *end = begin + token.text.size();
    int64_t whole = 0;
    double real = 0;
    bool is_whole = token.kind == Token::Integer;
    bool fits = is_whole ? std::from_chars(begin, end, whole).ec == std::errc()
                         : std::from_chars(begin, end, real).ec == std::errc();
    if (!fits) throw reader_.error("a number leaves 64 bits").got(token.text);
    size_t place = reader_.take().place;
    return constant(place, is_whole ? Value::of(whole) : Value::of(real));
  }

  ExprPtr parenthesis() {
    TokenReader::Nested nested(reader_);
    size_t place = reader_.take().place;
    if (reader_.skip_symbol(")")) return make({Kind::Tuple, place}, {});
    ExprPtr inner = tuple([this] { return conditional(); });
    reader_.expect_symbol(")");
    return inner;
  }

  ExprPtr bracket() {
    TokenReader::Nested nested(reader_);
    size_t place = reader_.take().place;
    Operands operands;
    while (!reader_.is_symbol("]")) {
      operands.push_back(conditional());
      if (!reader_.skip_symbol(",")) break;
    }
    reader_.expect_symbol("]");
    return make({Kind::List, place}, std::move(operands));
  }

  ExprPtr brace() {
    TokenReader::Nested nested(reader_);
    size_t place = reader_.take().place;
    Operands operands;
    while (!reader_.is_symbol("}")) {
      operands.push_back(conditional());
      reader_.expect_symbol(":");
      operands.push_back(conditional());
      if (!reader_.skip_symbol(",")) break;
    }
    reader_.expect_symbol("}");
    return make({Kind::Dict, place}, std::move(operands));
  }

  ExprPtr postfix(ExprPtr value) {
    for (;;) {
      if (reader_.is_symbol(".")) {
        value = attribute(std::move(value));
      } else if (reader_.is_symbol("[")) {
        value = subscript(std::move(value));
      } else if (reader_.is_symbol("(")) {
        value = call(std::move(value));
      } else {
        return value;
      }
    }
  }

  ExprPtr filters_and_tests(ExprPtr value) {
    for (;;) {
      if (reader_.is_symbol("|")) {
        value = filters(std::move(value));
      } else if (reader_.is_name("is")) {
        value = test(std::move(value));
      } else if (reader_.is_symbol("(")) {
        value = call(std::move(value));
      } else {
        return value;
      }
    }
  }

  ExprPtr attribute(ExprPtr value) {
    size_t place = reader_.take().place;
    Operands operands;
    operands.push_back(std::move(value));
    if (reader_.now().kind == Token::Integer) {
      operands.push_back(number());
      return make({Kind::Item, place}, std::move(operands));
    }
    return make({Kind::Attribute, place, reader_.expect_name()}, std::move(operands));
  }

  ExprPtr subscript(ExprPtr value) {
    TokenReader::Nested nested(reader_);
    size_t place = reader_.take().place;
    Operands operands;
    operands.push_back(std::move(value));
    bool slices = false;
    for (int part = 0; part < 3; ++part) {
      bool empty = reader_.is_symbol(":") || reader_.is_symbol("]");
      operands.push_back(empty ? nullptr : conditional());
      if (!reader_.skip_symbol(":")) break;
      slices = true;
    }
    reader_.expect_symbol("]");
    if (!slices && !operands[1]) throw reader_.error("an element's brackets are empty");
    operands.resize(slices ? 4 : 2);
    return make({slices ? Kind::Slice : Kind::Item, place}, std::move(operands));
  }

  void arguments(Operands& operands, Expr& node) {
    TokenReader::Nested nested(reader_);
    reader_.expect_symbol("(");
    while (!reader_.is_symbol(")")) {
      if (reader_.is_symbol("*") || reader_.is_symbol("**")) {
        throw reader_.error("arguments by * and ** are not supported", ErrorCode::Unsupported);
      }
      bool named = reader_.now().kind == Token::Name && reader_.next().is(Token::Symbol, "=");
      if (named) {
        std::string name = reader_.take().text;
        reader_.take();
        node.named.emplace_back(std::move(name), conditional());
      } else if (!node.named.empty()) {
        throw reader_.error("an argument without a name follows one with a name");
      } else {
        operands.push_back(conditional());
      }
      if (!reader_.skip_symbol(",")) break;
    }
    reader_.expect_symbol(")");
  }

  ExprPtr call(ExprPtr value) {
    Expr node{Kind::Call, reader_.now().place};
    Operands operands;
    operands.push_back(std::move(value));
    arguments(operands, node);
    return make(std::move(node), std::move(operands));
  }

  std::string dotted_name() {
    std::string name = reader_.expect_name();
    while (reader_.skip_symbol(".")) name += "." + reader_.expect_name();
    return name;
  }

  ExprPtr test(ExprPtr value) {
    reader_.take();
    bool negated = reader_.skip_name("not");
    size_t place = reader_.now().place;
    std::string name = dotted_name();
    if (!find_test(name)) refuse(place, "test", name, test_names());
    Operands operands;
    operands.push_back(std::move(value));
    Expr node{Kind::Test, place, name};
    bool bare = begins_expression() && !reader_.is_symbol("-") && !reader_.is_symbol("+") &&
                !reader_.is_name("else") && !reader_.is_name("or") && !reader_.is_name("and") &&
                !reader_.is_name("is") && !reader_.is_name("not");
    if (reader_.is_symbol("(")) {
      arguments(operands, node);
    } else if (bare) {
      operands.push_back(postfix(primary()));
    }
    ExprPtr result = make(std::move(node), std::move(operands));
    if (!negated) return result;
    Operands inner;
    inner.push_back(std::move(result));
    return make({Kind::Not, place}, std::move(inner));
  }

  TokenReader& reader_;
};

ExprPtr parse_one_target(TokenReader& reader, bool attributes) {
  TokenReader::Nested nested(reader);
  if (reader.skip_symbol("(")) {
    ExprPtr inner = parse_target(reader, false);
    reader.expect_symbol(")");
    return inner;
  }
  size_t place = reader.now().place;
  Expr node{Kind::Name, place, reader.expect_name()};
  constexpr std::string_view kReserved[] = {"true", "false", "none", "True", "False", "None"};
  if (std::ranges::count(kReserved, node.name) > 0) {
    throw reader.error("a constant cannot be set").got(node.name);
  }
  if (!attributes || !reader.skip_symbol(".")) return std::make_unique<const Expr>(std::move(node));
  Expr outer{Kind::Attribute, place, reader.expect_name()};
  outer.operands.push_back(std::make_unique<const Expr>(std::move(node)));
  return std::make_unique<const Expr>(std::move(outer));
}

}  // namespace

ExprPtr parse_expression(TokenReader& reader) {
  return ExpressionParser(reader).conditional();
}
ExprPtr parse_condition(TokenReader& reader) {
  return ExpressionParser(reader).any();
}

ExprPtr parse_tuple(TokenReader& reader) {
  ExpressionParser parser(reader);
  return parser.tuple([&] { return parser.conditional(); });
}

ExprPtr parse_iterable(TokenReader& reader) {
  ExpressionParser parser(reader);
  return parser.tuple([&] { return parser.any(); });
}

ExprPtr parse_filter_chain(TokenReader& reader) {
  ExpressionParser parser(reader);
  return parser.filters(parser.filter(nullptr));
}

ExprPtr parse_target(TokenReader& reader, bool attributes) {
  ExprPtr first = parse_one_target(reader, attributes);
  if (!reader.is_symbol(",")) return first;
  Expr tuple{Kind::Tuple, first->place};
  tuple.operands.push_back(std::move(first));
  while (reader.skip_symbol(",")) {
    if (reader.now().kind != Token::Name && !reader.is_symbol("(")) break;
    if (reader.is_name("in")) break;
    tuple.operands.push_back(parse_one_target(reader, false));
  }
  return std::make_unique<const Expr>(std::move(tuple));
}

}  // namespace tenon::text
