#include "data/json.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tenon;
  fuzz::refuse_or_accept([&] {
    data::Json read = data::parse_json(fuzz::text_of(data, size));
    // What is written must read back as the same value. NaN cannot occur: JSON has none.
    if (!(data::parse_json(read.dump()) == read)) std::abort();
  });
  return 0;
}
