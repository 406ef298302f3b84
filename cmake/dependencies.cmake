# Every third-party dependency, with its reason and licence. All are Debian 12 packages; nothing is
# downloaded at configure time. A new one needs an ADR.
find_package(Threads REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)  # JSON and CBOR parsing behind src/data (MIT)
find_package(CLI11 2.1 REQUIRED)           # command line, only in src/cli (BSD-3-Clause)
find_package(fmt 9 REQUIRED)               # text formatting in .cc files (MIT)
find_package(spdlog 1.10 REQUIRED)         # log sinks behind base/log (MIT)
find_path(TENON_XXHASH_INCLUDE xxhash.h REQUIRED)  # integrity digests, header only (BSD-2-Clause)
find_library(TENON_PCRE2 NAMES libpcre2-8.a REQUIRED)   # general tokenizer regex (BSD-3-Clause)
find_library(TENON_UTF8PROC NAMES libutf8proc.a REQUIRED)  # Unicode normalisation (MIT)
if(TENON_TESTS)
  find_package(GTest 1.12 REQUIRED)        # tests only (BSD-3-Clause)
endif()
