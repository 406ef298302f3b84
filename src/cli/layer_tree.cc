#include "cli/layer_tree.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "base/text.h"
#include "cli/text_table.h"

namespace tenon::cli {
namespace {

// Beyond this depth the rest of a name stays one word: hostile names must not exhaust the stack.
constexpr int kMostDepth = 32;

struct Node {
  std::string name;
  const WeightFact* weight = nullptr;
  std::deque<Node> children;
  std::map<std::string, size_t> places;  // of each child, by name
  int64_t parameters = 0, bytes = 0;
  std::set<std::string> dtypes;
  std::string insides;  // equal for nodes that look the same but for their names
};

Node& child_of(Node& node, const std::string& name) {
  auto [place, is_new] = node.places.emplace(name, node.children.size());
  if (is_new) node.children.emplace_back().name = name;
  return node.children[place->second];
}

void insert(Node& root, const WeightFact& weight) {
  Node* node = &root;
  std::string rest = weight.name;
  for (int depth = 0; depth < kMostDepth; ++depth) {
    size_t dot = rest.find('.');
    if (dot == std::string::npos) break;
    node = &child_of(*node, rest.substr(0, dot));
    rest.erase(0, dot + 1);
  }
  node = &child_of(*node, rest);
  node->weight = &weight;
}

void sum_up(Node& node) {
  if (node.weight) {
    std::string dtype(dtype_name(node.weight->dtype));
    node.parameters = node.weight->parameters;
    node.bytes = node.weight->bytes;
    node.dtypes.insert(dtype);
    node.insides = dtype + node.weight->extents.to_string();
  }
  for (Node& child : node.children) {
    sum_up(child);
    node.parameters += child.parameters;
    node.bytes += child.bytes;
    node.dtypes.insert(child.dtypes.begin(), child.dtypes.end());
    node.insides += "(" + child.name + ":" + child.insides + ")";
  }
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// How many neighbours from `first` on are shown as one.
size_t run_length(const std::deque<Node>& nodes, size_t first) {
  size_t end = first + 1;
  while (end < nodes.size() && is_number(nodes[first].name) && is_number(nodes[end].name) &&
         nodes[end].insides == nodes[first].insides) {
    ++end;
  }
  return end - first;
}

using Rows = std::vector<std::vector<std::string>>;

void add_rows(const Node& node, int depth, Rows& rows) {
  for (size_t i = 0; i < node.children.size();) {
    const Node& child = node.children[i];
    auto count = static_cast<int64_t>(run_length(node.children, i));
    std::string name = child.name;
    if (count > 1) {
      name += "-" + node.children[i + count - 1].name + " (" + std::to_string(count) +
              " alike, one below)";
    }
    std::string dtypes;
    for (const std::string& dtype : child.dtypes) dtypes += (dtypes.empty() ? "" : " ") + dtype;
    if (child.weight) dtypes += child.weight->extents.to_string();
    rows.push_back({std::string(2 * depth, ' ') + name, format_count(child.parameters * count),
                    format_bytes(child.bytes * count), dtypes});
    add_rows(child, depth + 1, rows);
    i += count;
  }
}

}  // namespace

View layer_tree(const std::vector<WeightFact>& weights) {
  Node root;
  data::Json list = data::Json::array();
  for (const WeightFact& weight : weights) {
    insert(root, weight);
    data::Json extents = data::Json::array();
    for (int64_t extent : weight.extents) extents.push_back(extent);
    data::Json entry = data::Json::object();
    entry.set("name", weight.name).set("dtype", dtype_name(weight.dtype));
    entry.set("extents", std::move(extents)).set("parameters", weight.parameters);
    entry.set("bytes", weight.bytes);
    list.push_back(std::move(entry));
  }
  sum_up(root);
  Rows rows = {{"layer", "parameters", "bytes", "type"}};
  add_rows(root, 0, rows);
  rows.push_back({"total", format_count(root.parameters), format_bytes(root.bytes), ""});
  View view;
  view.text = text_table(rows, "lrrl");
  view.json.set("layers", std::move(list)).set("parameters", root.parameters);
  view.json.set("bytes", root.bytes);
  return view;
}

}  // namespace tenon::cli
