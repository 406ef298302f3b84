#pragma once

#include <memory>
#include <string>

#include "text/component_json.h"

namespace tenon::text {

struct NormalText {
  std::string text;
  bool keeps_start = true;    // its first character comes from the first one of the original
  bool at_text_start = true;  // no token stands before it
};

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(NormalText& text) const = 0;
};

// Null for JSON null. Throws ErrorCode::Unsupported naming the type and those accepted.
std::unique_ptr<const Normalizer> make_normalizer(const Component& component);

}  // namespace tenon::text
