#pragma once

#include <span>

#include "text/jinja/builtins.h"

namespace tenon::text {

std::span<const NamedBuiltin> text_filters();  // on text, numbers and any value
std::span<const NamedBuiltin> list_filters();  // on lists and dicts

}  // namespace tenon::text
