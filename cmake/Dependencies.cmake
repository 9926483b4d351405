# Every library from outside, as a target dep::<name>. Linux: Debian packages by pkg-config or by
# their headers; Windows: sources unpacked by packaging/deps/windows.sh and built along.
if(WIN32)
  include(DependenciesWindows)
  return()
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# ew_dep(NAME pkg-config-module [static-archive]): with an archive, the static one is linked, so
# that the programs people start often load nothing but libc.
function(ew_dep name module)
  pkg_check_modules(DEP_${name} REQUIRED IMPORTED_TARGET ${module})
  add_library(dep_${name} INTERFACE)
  add_library(dep::${name} ALIAS dep_${name})
  if(ARGC GREATER 2)
    find_library(DEP_${name}_ARCHIVE NAMES ${ARGV2} HINTS ${DEP_${name}_LIBDIR} REQUIRED)
    target_include_directories(dep_${name} INTERFACE ${DEP_${name}_INCLUDE_DIRS})
    target_link_libraries(dep_${name} INTERFACE ${DEP_${name}_ARCHIVE} Threads::Threads)
  else()
    target_link_libraries(dep_${name} INTERFACE PkgConfig::DEP_${name})
  endif()
endfunction()

ew_dep(uv libuv libuv_a.a)
ew_dep(protobuf-c libprotobuf-c libprotobuf-c.a)
ew_dep(lmdb lmdb liblmdb.a)
ew_dep(yaml yaml-0.1 libyaml.a)
ew_dep(sqlite sqlite3)
ew_dep(microhttpd libmicrohttpd)
ew_dep(jansson jansson)
ew_dep(sodium libsodium)
ew_dep(nettle hogweed) # what gives microhttpd its TLS
ew_dep(gmp gmp)
target_link_libraries(dep_nettle INTERFACE dep_gmp)
ew_dep(curl libcurl)
target_link_libraries(dep_uv INTERFACE ${CMAKE_DL_LIBS})
if(EW_SANITIZE STREQUAL "thread")
  add_library(seen_close STATIC tests/support/seen_close.c)
  target_link_libraries(dep_uv INTERFACE seen_close -Wl,--wrap=syscall,--undefined=__wrap_syscall)
endif()

# mbedtls 2.28 ships no pkg-config file.
find_path(MBEDTLS_INCLUDE mbedtls/ssl.h REQUIRED)
find_library(MBEDTLS_SSL libmbedtls.a REQUIRED)
find_library(MBEDTLS_X509 libmbedx509.a REQUIRED)
find_library(MBEDTLS_CRYPTO libmbedcrypto.a REQUIRED)
add_library(dep_mbedtls INTERFACE)
add_library(dep::mbedtls ALIAS dep_mbedtls)
target_include_directories(dep_mbedtls INTERFACE ${MBEDTLS_INCLUDE})
target_link_libraries(dep_mbedtls INTERFACE ${MBEDTLS_SSL} ${MBEDTLS_X509} ${MBEDTLS_CRYPTO})

if(EW_TESTS)
  ew_dep(cmocka cmocka)
endif()

find_program(PROTOC_C NAMES protoc-c REQUIRED)
