#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/operators.h"
#include "text/jinja/value.h"

namespace tenon::text {

struct Expr;
using ExprPtr = std::unique_ptr<const Expr>;

// One kind of node with the fields that any kind needs: the kind says which count.
struct Expr {
  enum class Kind {
    Constant,     // constant
    Name,         // name
    List,         // operands
    Tuple,        // operands
    Dict,         // operands: key, value, key, value ...
    Attribute,    // operands[0].name
    Item,         // operands[0][operands[1]]
    Slice,        // operands[0][operands[1]:operands[2]:operands[3]], null where left out
    Call,         // operands[0](operands[1] ..., named)
    Filter,       // operands[0]|name(operands[1] ..., named); operands[0] is null in a filter block
    Test,         // operands[0] is name(operands[1] ..., named)
    Negate,       // -operands[0]
    Plus,         // +operands[0]
    Not,          // not operands[0]
    And,          // operands
    Or,           // operands
    Binary,       // operands[0] binary operands[1]
    Concat,       // operands joined by ~
    Compare,      // operands[0] compares[0] operands[1] compares[1] operands[2] ...
    Conditional,  // operands[0] if operands[1] else operands[2], null where left out
  };
  Kind kind;
  size_t place;  // byte of the source
  std::string name = {};
  Value constant = {};
  std::vector<ExprPtr> operands = {};
  std::vector<std::pair<std::string, ExprPtr>> named = {};
  BinaryOp binary = BinaryOp::Add;
  std::vector<CompareOp> compares = {};
  int depth = 1;  // of the nodes below
};

struct Stmt;
using Body = std::vector<std::unique_ptr<const Stmt>>;

struct Stmt {
  enum class Kind {
    Text,         // text
    Output,       // expressions[0]
    If,           // branches, otherwise
    For,          // target, expressions[0], condition, body, otherwise, recursive
    Set,          // target = expressions[0]
    SetBlock,     // target = body, through the filters of expressions[0] if there is one
    Macro,        // name, parameters, body
    Call,         // parameters, expressions[0] a Call, body
    FilterBlock,  // expressions[0] a chain of Filters, body
    With,         // parameters as names with values, body
    Group,        // body: a generation block
    Break,
    Continue,
  };
  Kind kind;
  size_t place;
  std::string text = {}, name = {};
  ExprPtr target = {}, condition = {};
  std::vector<ExprPtr> expressions = {};
  std::vector<std::pair<ExprPtr, Body>> branches = {};
  std::vector<std::pair<std::string, ExprPtr>> parameters = {};  // null: without a default
  Body body = {}, otherwise = {};
  bool recursive = false;
};

// A parsed template. The source is kept for the places of errors.
struct Syntax {
  std::string source;
  Body body;
};

// Parses with trim_blocks and lstrip_blocks, as transformers sets them. Throws ErrorCode::BadInput,
// or Unsupported for a tag, filter or test that Tenon does not have, with line and column.
std::shared_ptr<const Syntax> parse_jinja(std::string_view source);

}  // namespace tenon::text
