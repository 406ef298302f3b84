#pragma once

#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "text/component_json.h"
#include "text/pieces.h"

namespace tenon::text {

// Cuts each piece of text where `find` says, then as `behavior` says.
void split_pieces(Pieces& pieces, SplitBehavior behavior,
                  FunctionRef<void(std::string_view text, std::vector<Span>& spans)> find);

// The same with one-character matches: `matches` says which characters they are.
void split_at_chars(Pieces& pieces, SplitBehavior behavior, FunctionRef<bool(int32_t c)> matches);

// The "behavior" of a component; throws where it is no such name.
SplitBehavior read_split_behavior(const Component& component);

}  // namespace tenon::text
