#include "frontends/safetensors/safetensors_file.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tenon;
  fuzz::InputFile input(data, size);
  fuzz::refuse_or_accept([&] {
    auto file = frontends::SafetensorsFile::open(input.path());
    int64_t total = 0;
    for (const WeightInfo& info : file->weights()) {
      fuzz::use(file->view(info.name).byte_span());
      total += info.bytes();
    }
    if (total > static_cast<int64_t>(size)) std::abort();
  });
  return 0;
}
