#pragma once

#include <memory>

#include "text/component_json.h"
#include "text/pieces.h"

namespace tenon::text {

// Cuts a text into pieces that the model sees one by one, and may respell them. Pieces that are
// added tokens stay as they are.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(Pieces& pieces) const = 0;
};

// Null for JSON null. Throws ErrorCode::Unsupported naming the type and those accepted.
std::unique_ptr<const PreTokenizer> make_pre_tokenizer(const Component& component);

}  // namespace tenon::text
