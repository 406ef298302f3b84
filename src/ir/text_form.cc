// print and parse: the one text form of graphs.
#include <cctype>
#include <charconv>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "ir/graph.h"

namespace tenon::ir {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string attribute_text(const ops::Attribute& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return quoted(*text);
  return ops::to_string(value);
}

void print_names(std::string& out, const Value& value) {
  for (const std::string& name : value.names) out += " " + quoted(name);
}

void print_leaf(std::string& out, std::string_view kind, ValueId id, const Value& value) {
  out += std::string(kind) + " %" + std::to_string(id) + ": " + to_string(value.type);
  print_names(out, value);
  if (value.recipe) out += " = " + quoted(value.recipe->to_string());
  out += "\n";
}

void print_node(std::string& out, const Graph& graph, const Node& node) {
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const Value& value = graph.value(node.outputs[i]);
    out += (i ? ", %" : "%") + std::to_string(node.outputs[i]) + ": " + to_string(value.type);
    print_names(out, value);
  }
  out += (node.outputs.empty() ? "" : " = ") + node.op;
  if (node.version != 1) out += "@" + std::to_string(node.version);
  out += "(";
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    out += i ? ", " : "";
    out += node.inputs[i] == kNone ? "_" : "%" + std::to_string(node.inputs[i]);
  }
  out += ")";
  const auto& entries = node.attributes.entries();
  for (size_t i = 0; i < entries.size(); ++i) {
    out += (i ? ", " : " {") + entries[i].first + ": " + attribute_text(entries[i].second);
  }
  if (!entries.empty()) out += "}";
  if (!node.module.empty()) out += " @ " + quoted(node.module);
  out += "\n";
}

// Reads one line at a time; every error names the line.
class Reader {
 public:
  Reader(std::string_view text, const ops::Catalogue& catalogue)
      : text_(text), catalogue_(catalogue) {}

  Graph parse_all() {
    expect_word("graph");
    Graph graph(std::string(word()), catalogue_);
    while (true) {
      skip_blanks(true);
      if (at_ == text_.size()) break;
      statement(graph);
    }
    return graph;
  }

 private:
  [[noreturn]] void fail(std::string_view problem) const {
    size_t line = 1 + std::count(text_.begin(), text_.begin() + std::min(at_, text_.size()), '\n');
    throw Error(ErrorCode::BadInput, problem).at("graph text line " + std::to_string(line));
  }
  void skip_blanks(bool newlines) {
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (c == ' ' || c == '\t' || c == '\r' || (newlines && c == '\n')) {
        ++at_;
      } else {
        break;
      }
    }
  }
  bool take(std::string_view token) {
    skip_blanks(false);
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }
  void need(std::string_view token) {
    if (!take(token)) fail("expected '" + std::string(token) + "'");
  }
  std::string_view word() {
    skip_blanks(false);
    size_t begin = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) ||
                                  text_[at_] == '_' || text_[at_] == '.')) {
      ++at_;
    }
    if (begin == at_) fail("expected a word");
    return text_.substr(begin, at_ - begin);
  }
  void expect_word(std::string_view wanted) {
    skip_blanks(true);
    if (word() != wanted) fail("expected '" + std::string(wanted) + "'");
  }
  std::string string_literal() {
    need("\"");
    std::string out;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
        ++at_;
        out += text_[at_] == 'n' ? '\n' : text_[at_];
      } else {
        out += text_[at_];
      }
      ++at_;
    }
    need("\"");
    return out;
  }
  std::vector<std::string> names() {
    std::vector<std::string> list;
    skip_blanks(false);
    while (at_ < text_.size() && text_[at_] == '"') {
      list.push_back(string_literal());
      skip_blanks(false);
    }
    return list;
  }
  ValueType type() {
    std::optional<DType> dtype = dtype_from_name(word());
    if (!dtype) fail("unknown element type");
    need("[");
    size_t end = at_;
    int depth = 0;
    Shape shape;
    size_t begin = at_;
    for (; end < text_.size(); ++end) {
      char c = text_[end];
      if (c == '(') ++depth;
      if (c == ')') --depth;
      if ((c == ',' && depth == 0) || c == ']') {
        std::string_view part = text_.substr(begin, end - begin);
        if (part.find_first_not_of(' ') != part.npos) shape.push_back(Dim::parse(part));
        begin = end + 1;
      }
      if (c == ']') break;
    }
    at_ = end;
    need("]");
    return {*dtype, shape, {}};
  }
  ops::Attribute scalar() {
    skip_blanks(false);
    if (at_ < text_.size() && text_[at_] == '"') return string_literal();
    if (take("true")) return true;
    if (take("false")) return false;
    size_t begin = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) ||
                                  text_[at_] == '-' || text_[at_] == '+' || text_[at_] == '.')) {
      ++at_;
    }
    std::string number(text_.substr(begin, at_ - begin));
    if (number.find_first_of(".eni") != number.npos) {
      double value = 0;
      auto result = std::from_chars(number.data(), number.data() + number.size(), value);
      if (result.ec != std::errc()) fail("not a number");
      return value;
    }
    int64_t value = 0;
    auto result = std::from_chars(number.data(), number.data() + number.size(), value);
    if (number.empty() || result.ec != std::errc()) fail("not a number");
    return value;
  }
  ops::Attribute attribute() {
    if (!take("[")) return scalar();
    std::vector<ops::Attribute> items;
    while (!take("]")) {
      if (!items.empty()) need(",");
      items.push_back(scalar());
    }
    if (!items.empty() && std::holds_alternative<double>(items[0])) return gather<double>(items);
    if (!items.empty() && std::holds_alternative<std::string>(items[0]))
      return gather<std::string>(items);
    return gather<int64_t>(items);
  }
  template <class T>
  std::vector<T> gather(const std::vector<ops::Attribute>& items) {
    std::vector<T> list;
    for (const ops::Attribute& item : items) {
      if (!std::holds_alternative<T>(item)) fail("list mixes types");
      list.push_back(std::get<T>(item));
    }
    return list;
  }
  ValueId reference() {
    if (take("_")) return kNone;
    need("%");
    auto found = ids_.find(std::string(word()));
    if (found == ids_.end()) fail("unknown value");
    return found->second;
  }

  void statement(Graph& graph) {
    if (take("input ")) return leaf(graph, ValueKind::Input);
    if (take("const ")) return leaf(graph, ValueKind::Constant);
    if (take("state ")) return leaf(graph, ValueKind::State);
    if (take("output ")) {
      ValueId id = reference();
      std::vector<std::string> labels = names();
      std::vector<std::string>& known = graph.value(id).names;
      if (labels.empty()) labels.push_back(known.empty() ? "output" : known[0]);
      return graph.add_output(labels[0], id);
    }
    node(graph);
  }
  void leaf(Graph& graph, ValueKind kind) {
    need("%");
    std::string id(word());
    need(":");
    ValueType value_type = type();
    std::vector<std::string> labels = names();
    std::string name = labels.empty() ? id : labels[0];
    ValueId value = kNone;
    if (kind == ValueKind::Input) value = graph.add_input(name, value_type);
    if (kind == ValueKind::State) value = graph.add_state(name, value_type);
    if (kind == ValueKind::Constant) {
      // The text form does not evaluate recipes: a constant reads as a source of that text.
      std::string recipe = take("=") ? string_literal() : name;
      value = graph.add_constant(
          name, Recipe::source({recipe, value_type.dtype, evaluate(value_type.shape, {})}));
    }
    if (!labels.empty()) graph.value(value).names = labels;
    define(id, value);
  }
  void define(const std::string& id, ValueId value) {
    if (!ids_.emplace(id, value).second) fail("value is defined twice");
  }
  void node(Graph& graph) {
    struct Out {
      std::string id;
      std::vector<std::string> names;
    };
    std::vector<Out> outs;
    while (take("%")) {
      Out out;
      out.id = word();
      if (take(":")) type();  // the shape rule decides; verify() compares on demand
      out.names = names();
      outs.push_back(std::move(out));
      if (!take(",")) break;
    }
    if (!outs.empty()) need("=");
    NodeSpec spec;
    std::string op(word());
    spec.op = op;
    spec.outputs = outs.size();
    need("(");
    while (!take(")")) {
      if (!spec.inputs.empty()) need(",");
      spec.inputs.push_back(reference());
    }
    if (take("{")) {
      bool first = true;
      while (!take("}")) {
        if (!first) need(",");
        first = false;
        std::string name(word());
        need(":");
        spec.attributes.set(name, attribute());
      }
    }
    std::string module = take("@") ? string_literal() : "";
    std::vector<ValueId> ids = graph.add_node(spec);
    graph.node(static_cast<NodeId>(graph.nodes().size()) - 1).module = module;
    for (size_t i = 0; i < outs.size(); ++i) {
      graph.value(ids[i]).names = outs[i].names;
      define(outs[i].id, ids[i]);
    }
  }

  std::string_view text_;
  const ops::Catalogue& catalogue_;
  size_t at_ = 0;
  std::map<std::string, ValueId, std::less<>> ids_;
};

}  // namespace

std::string print(const Graph& graph) {
  std::string out = "graph " + graph.name() + "\n";
  for (ValueId id : graph.inputs()) print_leaf(out, "input", id, graph.value(id));
  std::vector<bool> used(graph.values().size(), false);
  for (const Node& node : graph.nodes()) {
    for (ValueId id : node.inputs) {
      if (id != kNone) used[id] = true;
    }
  }
  for (size_t i = 0; i < graph.values().size(); ++i) {
    const Value& value = graph.values()[i];
    if (value.kind == ValueKind::Constant && used[i])
      print_leaf(out, "const", static_cast<ValueId>(i), value);
  }
  for (ValueId id : graph.states()) print_leaf(out, "state", id, graph.value(id));
  for (const Node& node : graph.nodes()) print_node(out, graph, node);
  for (ValueId id : graph.outputs()) out += "output %" + std::to_string(id) + "\n";
  return out;
}

Graph parse(std::string_view text, const ops::Catalogue& catalogue) {
  return Reader(text, catalogue).parse_all();
}

}  // namespace tenon::ir
