# Finds the CUDA toolkit and sets how device code is compiled. Without one the CUDA back end is left
# out and all else builds: the back end is a library that is opened at run time.
set(TENON_CUDA_SKIPPED "")
if(NOT TENON_CUDA)
  set(TENON_CUDA_SKIPPED "TENON_CUDA is OFF")
elseif(TENON_SANITIZE AND TENON_CUDA STREQUAL "AUTO")
  # The CUDA driver does not start under the address sanitizer's shadow memory.
  set(TENON_CUDA_SKIPPED "sanitizer build")
else()
  # The toolkit's own folder, for shells that do not have it in PATH.
  find_program(TENON_NVCC nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
  if(TENON_NVCC AND NOT DEFINED CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_COMPILER ${TENON_NVCC})
  endif()
  if(NOT DEFINED CMAKE_CUDA_HOST_COMPILER AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
  endif()
  set(CMAKE_CUDA_ARCHITECTURES ${TENON_CUDA_ARCHITECTURES})
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    find_package(CUDAToolkit 13 QUIET)
  endif()
  if(NOT CMAKE_CUDA_COMPILER)
    set(TENON_CUDA_SKIPPED "no CUDA toolkit")
  elseif(NOT CUDAToolkit_FOUND)
    set(TENON_CUDA_SKIPPED "the CUDA toolkit is older than 13")
  endif()
endif()
if(TENON_CUDA_SKIPPED)
  if(TENON_CUDA STREQUAL "ON")
    message(FATAL_ERROR "CUDA back end: ${TENON_CUDA_SKIPPED}")
  endif()
  message(STATUS "CUDA back end: skipped, ${TENON_CUDA_SKIPPED}")
  set(TENON_HAS_CUDA OFF)
  return()
endif()
message(STATUS "CUDA back end: nvcc ${CMAKE_CUDA_COMPILER_VERSION}, ${TENON_CUDA_ARCHITECTURES}")
set(TENON_HAS_CUDA ON)
set(CMAKE_CUDA_STANDARD 20)
# CMake 3.25 does not know yet that nvcc has C++20.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
# All cards a release serves besides those of TENON_CUDA_ARCHITECTURES: machine code for each, and
# PTX of compute capability 8.0 that newer cards compile when they load it.
set(TENON_CUDA_OTHER_ARCHITECTURES "80;86-real;89-real")
set(CMAKE_CUDA_FLAGS_RELEASE "-O3")
set(CMAKE_CUDA_FLAGS_RELWITHDEBINFO "-O3 -lineinfo")
if(TENON_CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${TENON_CCACHE})
endif()
# constexpr functions of base and tensor are called in device code.
target_compile_options(tenon_options INTERFACE
  "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;-Xcompiler=-Wall,-Wextra,-Wno-unused-parameter>")
if(TENON_WERROR)
  target_compile_options(tenon_options INTERFACE
    "$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>")
  # A spill moves registers to local memory: right results, and a kernel that is slower for no
  # reason its source shows. tools/cuda_spills.py says how many bytes.
  target_compile_options(tenon_options INTERFACE
    "$<$<COMPILE_LANGUAGE:CUDA>:-Xptxas=--warn-on-spills>")
endif()
