#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace tenon::ir {

// What a pattern bound: values by their names in the pattern, nodes in the pattern's order.
struct Match {
  std::map<std::string, ValueId, std::less<>> values;
  std::map<std::string, ops::Attribute, std::less<>> attributes;  // by "$name"
  std::vector<NodeId> nodes;  // one for each pattern line; the last is the root

  ValueId value(std::string_view name) const { return values.at(std::string(name)); }
  bool has(std::string_view name) const {
    auto found = values.find(name);
    return found != values.end() && found->second != kNone;
  }
};

// A small graph to look for, in the IR's text form without types:
//   %g = linear(%x, %wg, _, _) {activation: ""}
//   %s = unary(%g) {kind: $kind}
//   %y = binary(%s, %u) {kind: "mul"}
// %name matches any value, the same one everywhere; _ matches only an absent input; ? matches
// anything. An attribute in the pattern must be equal, or is bound by $name; attributes that are
// not mentioned are free. `binary` with kind add or mul matches with its operands in either order.
// Values defined inside the pattern, except those of the last line, must have no user outside the
// match unless written with a trailing ! ("%g! = ...").
class Pattern {
 public:
  static Pattern parse(std::string_view text);

  // Matches with the last line at node `root`.
  std::optional<Match> match_at(const Graph& graph, NodeId root) const;

 private:
  struct Line {
    std::vector<std::string> outputs;
    std::vector<bool> may_escape;
    std::string op;
    std::vector<std::string> inputs;                         // name, "_" or "?"
    std::vector<std::pair<std::string, std::string>> bound;  // attribute -> "$name"
    ops::Attributes fixed;
  };
  class Matcher;
  std::vector<Line> lines_;
};

// Applies `rewrite` to matches until none is left or it declines them all. `rewrite` returns true
// where it changed the graph. Returns the number of changes.
size_t rewrite_all(Graph& graph, const Pattern& pattern,
                   const std::function<bool(Graph&, const Match&)>& rewrite);

}  // namespace tenon::ir
