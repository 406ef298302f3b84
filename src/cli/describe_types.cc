#include "cli/describe_types.h"

#include <vector>

namespace tenon::cli {

std::string describe_types(const data::Json& types) {
  struct Group {
    std::string dtype, reason, first;
    int64_t count = 0;
  };
  std::vector<Group> groups;
  for (const data::Json& entry : types.as_array("types")) {
    std::string dtype = entry.get_string("dtype", "?"), reason = entry.get_string("reason", "?");
    Group* same = nullptr;
    for (Group& group : groups) {
      if (group.dtype == dtype && group.reason == reason) same = &group;
    }
    if (!same) same = &groups.emplace_back(dtype, reason, entry.get_string("name", "?"), 0);
    ++same->count;
  }
  std::string text;
  for (const Group& group : groups) {
    text += (text.empty() ? "" : "; ") + group.dtype + ": " + group.first;
    if (group.count > 1) text += " and " + std::to_string(group.count - 1) + " more";
    text += " (" + group.reason + ")";
  }
  return text;
}

}  // namespace tenon::cli
