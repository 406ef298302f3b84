# Unpacks tests/golden/<name>.tar.xz into build/golden/<name>: large vectors of tests are committed packed.
function(tenon_unpack_golden)
  foreach(name IN LISTS ARGN)
    set(packed ${PROJECT_SOURCE_DIR}/tests/golden/${name}.tar.xz)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${packed})
    file(ARCHIVE_EXTRACT INPUT ${packed} DESTINATION ${PROJECT_BINARY_DIR}/golden)
  endforeach()
endfunction()

# Writes the weights that belong to the unpacked models and sam.
function(tenon_make_golden_checkpoints)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)  # only the standard library is used
  set(folder ${PROJECT_SOURCE_DIR}/tests/golden)
  foreach(script checkpoints numbers_by_hash sam_checkpoint)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${folder}/${script}.py)
  endforeach()
  execute_process(COMMAND ${Python3_EXECUTABLE} -B ${folder}/checkpoints.py ${PROJECT_BINARY_DIR}/golden
    RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "tests/golden/checkpoints.py: ${failed}")
  endif()
endfunction()
