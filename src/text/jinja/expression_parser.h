#pragma once

#include "text/jinja/syntax.h"
#include "text/jinja/token_reader.h"

namespace tenon::text {

// Expressions by Jinja's grammar. A tuple is one only where a comma stands.
ExprPtr parse_expression(TokenReader& reader);  // with "a if b else c"
ExprPtr parse_condition(TokenReader& reader);   // without it
ExprPtr parse_tuple(TokenReader& reader);       // expressions, with commas
// What a loop walks through: a tuple without "if", which filters the loop.
ExprPtr parse_iterable(TokenReader& reader);
// The filters behind a "|" that a block's text goes through; the first has no operand.
ExprPtr parse_filter_chain(TokenReader& reader);
// A name, names with commas and parentheses, or, where `attributes`, namespace.name.
ExprPtr parse_target(TokenReader& reader, bool attributes);

}  // namespace tenon::text
