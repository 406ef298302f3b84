#pragma once

#include <string_view>

// Kinds of the op families. gelu_erf and gelu_tanh are different functions: swapping one for the
// other is a wrong answer.
namespace tenon::ops {

inline constexpr std::string_view kUnaryKinds[] = {
    "gelu_erf", "gelu_tanh", "quick_gelu", "silu", "relu", "tanh", "sigmoid", "exp", "neg"};
inline constexpr std::string_view kResizeKinds[] = {"bilinear"};
inline constexpr std::string_view kBinaryKinds[] = {"add", "sub", "mul", "div"};

void check_kind(std::string_view kind, const std::string_view* kinds, size_t count,
                std::string_view op);

}  // namespace tenon::ops
