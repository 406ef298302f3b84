#include "ir/pattern.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/error.h"
#include "base/text.h"

namespace tenon::ir {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())))
    text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())))
    text.remove_suffix(1);
  return text;
}

[[noreturn]] void bad_pattern(std::string_view line) {
  throw Error(ErrorCode::Internal, "pattern cannot be read").got(line);
}

ops::Attribute attribute_value(std::string_view text, std::string_view line) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"')
    return std::string(text.substr(1, text.size() - 2));
  if (text == "true") return true;
  if (text == "false") return false;
  if (text.find_first_of(".e") != text.npos) {
    double value = 0;
    auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    if (result.ec != std::errc()) bad_pattern(line);
    return value;
  }
  int64_t value = 0;
  auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc()) bad_pattern(line);
  return value;
}

std::vector<std::string_view> items_between(std::string_view line, char open, char close) {
  size_t begin = line.find(open), end = line.find(close);
  std::vector<std::string_view> items;
  if (begin == line.npos) return items;
  if (end == line.npos || end < begin) bad_pattern(line);
  std::string_view inside = line.substr(begin + 1, end - begin - 1);
  while (!trim(inside).empty()) {
    size_t comma = inside.find(',');
    items.push_back(trim(inside.substr(0, comma)));
    if (comma == inside.npos) break;
    inside.remove_prefix(comma + 1);
  }
  return items;
}

}  // namespace

Pattern Pattern::parse(std::string_view text) {
  Pattern pattern;
  for (const std::string& raw : split(text, '\n')) {
    std::string_view line = trim(raw);
    if (line.empty() || line.front() == '#') continue;
    Line parsed;
    size_t equals = line.find('=');
    size_t parenthesis = line.find('(');
    if (parenthesis == line.npos) bad_pattern(line);
    std::string_view right = line;
    if (equals != line.npos && equals < parenthesis) {
      for (const std::string& output : split(line.substr(0, equals), ',')) {
        std::string_view name = trim(output);
        bool escapes = !name.empty() && name.back() == '!';
        if (escapes) name.remove_suffix(1);
        if (name.size() < 2 || name.front() != '%') bad_pattern(line);
        parsed.outputs.emplace_back(name.substr(1));
        parsed.may_escape.push_back(escapes);
      }
      right = trim(line.substr(equals + 1));
    }
    parsed.op = trim(right.substr(0, right.find('(')));
    for (std::string_view item : items_between(right, '(', ')')) {
      parsed.inputs.emplace_back(item.front() == '%' ? item.substr(1) : item);
    }
    for (std::string_view item : items_between(right, '{', '}')) {
      size_t colon = item.find(':');
      if (colon == item.npos) bad_pattern(line);
      std::string name(trim(item.substr(0, colon)));
      std::string_view value = trim(item.substr(colon + 1));
      if (value.front() == '$') {
        parsed.bound.emplace_back(name, std::string(value));
      } else {
        parsed.fixed.set(name, attribute_value(value, line));
      }
    }
    pattern.lines_.push_back(std::move(parsed));
  }
  if (pattern.lines_.empty()) bad_pattern(text);
  return pattern;
}

class Pattern::Matcher {
 public:
  Matcher(const Pattern& pattern, const Graph& graph) : lines_(pattern.lines_), graph_(graph) {
    match_.nodes.assign(lines_.size(), kNone);
  }

  std::optional<Match> run(NodeId root) {
    if (!match_line(lines_.size() - 1, root)) return std::nullopt;
    for (NodeId node : match_.nodes) {
      if (node == kNone) return std::nullopt;
    }
    for (size_t i = 0; i + 1 < lines_.size(); ++i) {
      if (escapes(i)) return std::nullopt;
    }
    return match_;
  }

 private:
  // Index of the line that defines a pattern name, or -1 for a free name.
  int definition(const std::string& name, size_t& output) const {
    for (size_t i = 0; i < lines_.size(); ++i) {
      for (size_t j = 0; j < lines_[i].outputs.size(); ++j) {
        if (lines_[i].outputs[j] == name) {
          output = j;
          return static_cast<int>(i);
        }
      }
    }
    return -1;
  }

  bool match_line(size_t index, NodeId id) {
    if (id == kNone) return false;
    if (match_.nodes[index] != kNone) return match_.nodes[index] == id;
    const Line& line = lines_[index];
    const Node& node = graph_.node(id);
    if (node.op != line.op || line.inputs.size() > node.inputs.size()) return false;
    if (!match_attributes(line, node)) return false;
    Match saved = match_;
    match_.nodes[index] = id;
    if (match_inputs(line, node, false)) return bind_outputs(line, node);
    const ops::Attribute* kind = node.attributes.find("kind");
    bool commutes = node.op == "binary" && kind &&
                    (*kind == ops::Attribute(std::string("add")) ||
                     *kind == ops::Attribute(std::string("mul")));
    match_ = saved;
    if (!commutes) return false;
    match_.nodes[index] = id;
    if (match_inputs(line, node, true)) return bind_outputs(line, node);
    match_ = saved;
    return false;
  }

  bool match_attributes(const Line& line, const Node& node) {
    for (const auto& [name, value] : line.fixed.entries()) {
      const ops::Attribute* found = node.attributes.find(name);
      bool is_default_empty = !found && value == ops::Attribute(std::string());
      if (!is_default_empty && (!found || !(*found == value))) return false;
    }
    for (const auto& [name, variable] : line.bound) {
      const ops::Attribute* found = node.attributes.find(name);
      if (!found) return false;
      auto [entry, added] = match_.attributes.emplace(variable, *found);
      if (!added && !(entry->second == *found)) return false;
    }
    return true;
  }

  bool match_inputs(const Line& line, const Node& node, bool swapped) {
    for (size_t i = 0; i < line.inputs.size(); ++i) {
      size_t at = swapped && i < 2 ? 1 - i : i;
      if (!match_value(line.inputs[i], node.inputs[at])) return false;
    }
    return true;
  }

  bool match_value(const std::string& name, ValueId id) {
    if (name == "?") return true;
    if (name == "_") return id == kNone;
    auto bound = match_.values.find(name);
    if (bound != match_.values.end()) return bound->second == id;
    if (id == kNone) return false;
    size_t output = 0;
    int line = definition(name, output);
    if (line >= 0) {
      NodeId producer = graph_.value(id).producer;
      if (producer == kNone || graph_.node(producer).outputs.size() <= output) return false;
      if (graph_.node(producer).outputs[output] != id) return false;
      return match_line(static_cast<size_t>(line), producer);
    }
    match_.values.emplace(name, id);
    return true;
  }

  bool bind_outputs(const Line& line, const Node& node) {
    if (line.outputs.size() > node.outputs.size()) return false;
    for (size_t i = 0; i < line.outputs.size(); ++i) {
      auto [entry, added] = match_.values.emplace(line.outputs[i], node.outputs[i]);
      if (!added && entry->second != node.outputs[i]) return false;
    }
    return true;
  }

  bool escapes(size_t index) const {
    const Node& node = graph_.node(match_.nodes[index]);
    for (size_t j = 0; j < node.outputs.size(); ++j) {
      if (j < lines_[index].may_escape.size() && lines_[index].may_escape[j]) continue;
      if (graph_.is_output(node.outputs[j])) return true;
      for (NodeId user : graph_.users(node.outputs[j])) {
        if (std::find(match_.nodes.begin(), match_.nodes.end(), user) == match_.nodes.end())
          return true;
      }
    }
    return false;
  }

  const std::vector<Line>& lines_;
  const Graph& graph_;
  Match match_;
};

std::optional<Match> Pattern::match_at(const Graph& graph, NodeId root) const {
  return Matcher(*this, graph).run(root);
}

size_t rewrite_all(Graph& graph, const Pattern& pattern,
                   const std::function<bool(Graph&, const Match&)>& rewrite) {
  size_t changes = 0;
  for (NodeId root = 0; root < static_cast<NodeId>(graph.nodes().size());) {
    std::optional<Match> match = pattern.match_at(graph, root);
    if (match && rewrite(graph, *match)) {
      ++changes;
      // Nodes may have moved up: look again from the earliest node the match touched.
      root = std::max<NodeId>(0, *std::min_element(match->nodes.begin(), match->nodes.end()));
    } else {
      ++root;
    }
  }
  return changes;
}

}  // namespace tenon::ir
