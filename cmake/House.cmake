# How every C file of the project is compiled.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Debug)
endif()

option(EW_TESTS "build the tests" ON)
option(EW_WERROR "warnings are errors" ON)
option(EW_HARDEN "compiler and linker hardening for shipped programs" OFF)
option(EW_LIBFUZZER "link fuzz targets with libFuzzer (clang) instead of the replayer" OFF)
set(EW_SANITIZE "" CACHE STRING "value for -fsanitize=, empty for none")

# The lower-case name that picks platform/<capability>_<os>.c
if(WIN32)
  set(EW_PLATFORM windows)
elseif(APPLE)
  set(EW_PLATFORM macos)
else()
  set(EW_PLATFORM linux)
endif()

# libuv's header and the POSIX parts of libc hide behind this under -std=c11.
add_compile_definitions(_GNU_SOURCE ENVWARDEN_VERSION="${PROJECT_VERSION}")
include_directories("${CMAKE_SOURCE_DIR}")

set(EW_WARNINGS -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
    -Wundef -Wvla -Wformat=2 -Wimplicit-fallthrough -Wwrite-strings)
if(EW_WERROR)
  list(APPEND EW_WARNINGS -Werror)
endif()

if(EW_SANITIZE)
  add_compile_options(-fsanitize=${EW_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${EW_SANITIZE})
endif()

if(EW_HARDEN)
  add_compile_options(-fstack-protector-strong -fcf-protection)
  # A section a function, so that a program can leave out what it never calls (--gc-sections).
  add_compile_options(-ffunction-sections -fdata-sections)
  add_link_options(-fstack-protector-strong) # mingw: brings libssp
  add_compile_definitions(_FORTIFY_SOURCE=2)
  if(NOT WIN32)
    add_compile_options(-fstack-clash-protection)
    add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
    set(CMAKE_EXE_LINKER_FLAGS "${CMAKE_EXE_LINKER_FLAGS} -pie")
  endif()
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()
