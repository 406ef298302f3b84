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
find_library(TENON_JPEG_ARCHIVE NAMES libjpeg.a REQUIRED)  # JPEG in src/imaging: libjpeg-turbo (IJG, BSD-3-Clause)
find_library(TENON_PNG_ARCHIVE NAMES libpng16.a libpng.a REQUIRED)  # PNG in src/imaging (libpng-2.0)
find_library(TENON_ZLIB NAMES libz.a REQUIRED)     # under libpng (Zlib)
# Debian builds these archives for executables: in a shared library they may not refer to data of
# another one. Theirs is stderr alone (default error printers, which src/imaging replaces), so a copy
# gets a name that src/imaging defines; their own symbols stay inside (--exclude-libs).
foreach(codec JPEG PNG)
  string(TOLOWER ${codec} name)
  set(TENON_${codec} ${PROJECT_BINARY_DIR}/libtenon_${name}.a)
  if(${TENON_${codec}_ARCHIVE} IS_NEWER_THAN ${TENON_${codec}})
    execute_process(COMMAND ${CMAKE_OBJCOPY} --redefine-sym stderr=tenon_codec_stderr
      ${TENON_${codec}_ARCHIVE} ${TENON_${codec}} COMMAND_ERROR_IS_FATAL ANY)
  endif()
endforeach()
find_path(TENON_BOOST_INCLUDE boost/beast/core.hpp REQUIRED)  # HTTP in src/server: Beast and Asio, headers only (BSL-1.0)
if(TENON_TESTS)
  find_package(GTest 1.12 REQUIRED)        # tests only (BSD-3-Clause)
endif()
