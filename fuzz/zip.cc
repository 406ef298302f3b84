#include "frontends/torch_pickle/zip_archive.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tenon;
  fuzz::refuse_or_accept([&] {
    frontends::ZipArchive archive(fuzz::bytes_of(data, size));
    for (const frontends::ZipRecord& record : archive.records()) {
      fuzz::use(archive.data(record));
      if (archive.find(record.name) != &record) std::abort();
      fuzz::refuse_or_accept([&] { archive.verify(record); });
    }
  });
  return 0;
}
