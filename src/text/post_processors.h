#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "text/component_json.h"

namespace tenon::text {

// Adds special tokens around the ids of one text.
class PostProcessor {
 public:
  virtual ~PostProcessor() = default;
  virtual void apply(std::vector<int32_t>& ids) const = 0;
};

// Null for JSON null. Throws ErrorCode::Unsupported naming the type and those accepted.
std::unique_ptr<const PostProcessor> make_post_processor(const Component& component);

}  // namespace tenon::text
