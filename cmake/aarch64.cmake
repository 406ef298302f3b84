# Toolchain for 64-bit Arm on a Debian 12 host: `tools/house/sysroot.sh`, then `cmake --preset aarch64`. Compiler and
# C library are those of g++-aarch64-linux-gnu; the sysroot holds nothing but third-party headers and archives.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(TENON_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../build/aarch64-sysroot CACHE PATH "What tools/house/sysroot.sh made")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES TENON_SYSROOT)
if(NOT EXISTS ${TENON_SYSROOT}/usr/lib/aarch64-linux-gnu)
  message(FATAL_ERROR "no ${TENON_SYSROOT}: run tools/house/sysroot.sh first")
endif()
set(CMAKE_FIND_ROOT_PATH ${TENON_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(TENON_MOLD OFF CACHE STRING "A cross compiler looks for a linker of its own prefix")
# jconfig.h differs between architectures and lies beside the others.
set(CMAKE_CXX_FLAGS_INIT "-isystem ${TENON_SYSROOT}/usr/include/aarch64-linux-gnu")
# What tests run through. QEMU_CPU names another CPU than the best that qemu knows.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64;-L;/usr/aarch64-linux-gnu)
