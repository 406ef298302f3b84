#pragma once

#include <string>

#include "data/json.h"

namespace tenon::cli {

// One answer of `inspect`, in both its forms.
struct View {
  std::string text;  // whole lines; names in it are made printable
  data::Json json = data::Json::object();
};

}  // namespace tenon::cli
