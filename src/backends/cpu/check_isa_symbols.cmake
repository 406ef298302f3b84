# The objects of one ISA may define nothing outside of their namespace that other objects define too:
# the linker keeps one copy of an inline function, and if it kept theirs, a CPU without the ISA would
# meet its instructions. Called with NM and OBJECTS, which is what the whole room consists of.
foreach(object ${OBJECTS})
  if(NOT object MATCHES "/(avx2|avx512|avx512bf16|avx512vnni|amx|neon|dotprod|i8mm)/[^/]*$")
    continue()
  endif()
  set(isa ${CMAKE_MATCH_1})
  execute_process(COMMAND ${NM} --defined-only ${object} OUTPUT_VARIABLE symbols
    COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]* [WVu] [^\n]*" shared "${symbols}")
  foreach(symbol ${shared})
    string(LENGTH ${isa} length)
    if(NOT symbol MATCHES "5tenon3cpu${length}${isa}" AND NOT symbol MATCHES "DW.ref|_san|asan|ubsan")
      message(SEND_ERROR "${object} defines ${symbol}")
    endif()
  endforeach()
endforeach()
