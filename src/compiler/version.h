#pragma once

namespace tenon::compiler {

// The version plans record as their maker.
inline constexpr const char* kVersion = "0.1.0";

}  // namespace tenon::compiler
