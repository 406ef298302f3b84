#include "ops/implementation.h"

namespace tenon::ops {

Choice choose_implementation(ImplementationList list, const OpDesc& desc) {
  Choice choice;
  for (const Implementation* candidate : list) {
    if (candidate->op != desc.op || candidate->version != desc.version) continue;
    Support support = candidate->supports(desc);
    if (support.ok) {
      choice.implementation = candidate;
      return choice;
    }
    choice.refused.push_back(std::string(candidate->name) + ": " + support.reason);
  }
  return choice;
}

}  // namespace tenon::ops
