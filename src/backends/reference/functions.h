#pragma once

#include <string_view>

namespace tenon::reference {

// The function of a kind of `unary`, in double.
using UnaryFunction = double (*)(double);
UnaryFunction unary_function(std::string_view kind);

}  // namespace tenon::reference
