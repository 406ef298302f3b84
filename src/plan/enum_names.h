#pragma once

#include <string_view>

#include "base/error.h"
#include "plan/plan.h"

namespace tenon::plan {

inline std::string_view role_name(ValueRole role) {
  switch (role) {
    case ValueRole::Input:
      return "input";
    case ValueRole::Constant:
      return "constant";
    case ValueRole::State:
      return "state";
    case ValueRole::Intermediate:
      return "intermediate";
  }
  return "intermediate";
}

inline ValueRole role_from_text(std::string_view text) {
  for (ValueRole role :
       {ValueRole::Input, ValueRole::Constant, ValueRole::State, ValueRole::Intermediate}) {
    if (role_name(role) == text) return role;
  }
  throw Error(ErrorCode::BadInput, "unknown role").at("role").got(text);
}

inline std::string_view placement_name(Placement placement) {
  return placement == Placement::Host ? "host" : "device";
}

inline Placement placement_from_text(std::string_view text) {
  if (text == "device") return Placement::Device;
  if (text == "host") return Placement::Host;
  throw Error(ErrorCode::BadInput, "unknown placement").at("placement").got(text);
}

inline DType dtype_from_text(std::string_view text) {
  if (std::optional<DType> dtype = dtype_from_name(text)) return *dtype;
  throw Error(ErrorCode::BadInput, "unknown element type").at("dtype").got(text);
}

}  // namespace tenon::plan
