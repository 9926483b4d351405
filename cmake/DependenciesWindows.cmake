# The libraries of the Windows programs, built along from the sources that packaging/deps/windows.sh
# unpacks, as the same targets dep::<name> that Linux gets from its packages. The server is not built
# for Windows, so its libraries are not here.
if(DEFINED ENV{EW_WIN_DEPS})
  set(win_deps_default "$ENV{EW_WIN_DEPS}")
else()
  set(win_deps_default "${CMAKE_SOURCE_DIR}/build/win-deps")
endif()
set(EW_WIN_DEPS "${win_deps_default}" CACHE PATH "folder made by packaging/deps/windows.sh")
set(win_src "${EW_WIN_DEPS}/src")
set(win_bin "${CMAKE_BINARY_DIR}/deps")
foreach(name libuv1 mbedtls protobuf-c lmdb)
  if(NOT EXISTS "${win_src}/${name}")
    message(FATAL_ERROR "${win_src}/${name} is missing: run packaging/deps/windows.sh first")
  endif()
endforeach()

foreach(switch LIBUV_BUILD_SHARED LIBUV_BUILD_TESTS LIBUV_BUILD_BENCH ENABLE_PROGRAMS ENABLE_TESTING
        USE_SHARED_MBEDTLS_LIBRARY MBEDTLS_FATAL_WARNINGS)
  set(${switch} OFF CACHE BOOL "" FORCE)
endforeach()
add_subdirectory("${win_src}/libuv1" "${win_bin}/uv" EXCLUDE_FROM_ALL)
add_subdirectory("${win_src}/mbedtls" "${win_bin}/mbedtls" EXCLUDE_FROM_ALL)

add_library(win_protobuf_c STATIC "${win_src}/protobuf-c/protobuf-c/protobuf-c.c")
add_library(win_lmdb STATIC "${win_src}/lmdb/libraries/liblmdb/mdb.c"
                            "${win_src}/lmdb/libraries/liblmdb/midl.c")
set_target_properties(win_protobuf_c win_lmdb PROPERTIES EXCLUDE_FROM_ALL ON C_EXTENSIONS ON)
# Their warnings are not ours to mend.
foreach(target uv_a mbedtls mbedx509 mbedcrypto win_protobuf_c win_lmdb)
  target_compile_options(${target} PRIVATE -w)
endforeach()

# ew_win_dep(NAME include-folder target...): their headers are system headers, their targets linked.
function(ew_win_dep name include)
  add_library(dep_${name} INTERFACE)
  add_library(dep::${name} ALIAS dep_${name})
  target_include_directories(dep_${name} SYSTEM INTERFACE "${include}")
  target_link_libraries(dep_${name} INTERFACE ${ARGN})
endfunction()

ew_win_dep(uv "${win_src}/libuv1/include" uv_a)
ew_win_dep(mbedtls "${win_src}/mbedtls/include" mbedtls mbedx509 mbedcrypto crypt32 advapi32)
ew_win_dep(protobuf-c "${win_src}/protobuf-c" win_protobuf_c)
ew_win_dep(lmdb "${win_src}/lmdb/libraries/liblmdb" win_lmdb)

# Generated code is made on the machine that builds.
find_program(PROTOC_C NAMES protoc-c REQUIRED)
