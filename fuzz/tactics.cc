#include "plan/tactics.h"

#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tenon;
  fuzz::refuse_or_accept([&] {
    plan::TacticsFile read = plan::parse_tactics(fuzz::text_of(data, size));
    // What is written must read back as the same text.
    std::string text = plan::to_text(read);
    if (plan::to_text(plan::parse_tactics(text)) != text) std::abort();
  });
  return 0;
}
