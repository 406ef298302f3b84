# Writes a C++ file that holds files as text: cmake -DOUTPUT=assets.cc -DFOLDER=web -DFILES="a.js;b.css" -P embed.cmake
set(types ".html=text/html" ".js=text/javascript" ".css=text/css" ".svg=image/svg+xml")
set(arrays "")
set(rows "")
set(index 0)
foreach(name ${FILES})
  file(READ ${FOLDER}/${name} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
  get_filename_component(extension ${name} EXT)
  set(type "application/octet-stream")
  foreach(pair ${types})
    if(pair MATCHES "^\\${extension}=(.*)$")
      set(type "${CMAKE_MATCH_1}; charset=utf-8")
    endif()
  endforeach()
  set(path "/${name}")
  if(name STREQUAL "index.html")
    set(path "/")
  endif()
  string(APPEND arrays "constexpr char kFile${index}[] = {\n${bytes}'\\0'};\n")
  string(APPEND rows "    {\"${path}\", \"${type}\", {kFile${index}, sizeof kFile${index} - 1}},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE ${OUTPUT} "// Made by cmake/embed.cmake from ${FOLDER}.
#include \"server/assets.h\"

namespace tenon::server {
namespace {
${arrays}
constexpr Asset kAssets[] = {
${rows}};
}  // namespace

std::span<const Asset> assets() {
  return kAssets;
}

}  // namespace tenon::server
")
