#!/usr/bin/env bash
# Installs what one or more purposes need from the distribution, and nothing that is there already.
#
#   packaging/deps/install.sh [--list] PURPOSE...
#
#   build    compile the programs          test     build and run the tests
#   windows  compile for Windows           static   static checks, format, fuzzing
#   wine     run what was compiled for Windows, in tests (700 MB)
#
# Debian 12, Ubuntu 22.04 and 24.04. Asks nothing; uses sudo when it is not run as root.
set -euo pipefail

packages() {
	case $1 in
	build)
		echo build-essential cmake ninja-build pkg-config
		echo libuv1-dev libmbedtls-dev libprotobuf-c-dev protobuf-c-compiler liblmdb-dev libyaml-dev
		echo libsqlite3-dev libmicrohttpd-dev libjansson-dev libsodium-dev nettle-dev libcurl4-openssl-dev
		;;
	test)
		packages build
		echo libcmocka-dev python3 jq curl openssl ccache
		echo dash zsh fish tcsh xonsh # the shells of the gate's matrix
		;;
	windows)
		packages build
		echo gcc-mingw-w64-x86-64-win32 dpkg-dev
		;;
	wine)
		packages windows
		echo wine
		;;
	static)
		packages build
		echo clang clang-tidy clang-format shellcheck python3 jq
		clang_runtime
		;;
	*)
		echo "install.sh: unknown purpose \"$1\" (build, test, windows, wine, static)" >&2
		return 2
		;;
	esac
}

# libFuzzer and the sanitizers of clang are in a package whose name carries clang's version. Where
# that version keeps them in libclang-common instead (Ubuntu 22.04), clang itself brings them.
clang_runtime() {
	local version
	version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
	if [ -n "$version" ] && known "libclang-rt-$version-dev"; then
		echo "libclang-rt-$version-dev"
	fi
}

known() {
	apt-cache show --no-all-versions "$1" >/dev/null 2>&1
}

missing() {
	local name
	for name in "$@"; do
		if [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
			echo "$name"
		fi
	done
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "install.sh: not root and no sudo; install by hand: ${want[*]}" >&2
		return 1
	fi
}

apt() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 "$@" </dev/null
}

# Package lists may be absent (a fresh image) or older than the mirror: then they are fetched, once.
install() {
	local name
	for name in "$@"; do
		if ! known "$name"; then
			apt update
			apt install -y --no-install-recommends "$@"
			return
		fi
	done
	apt install -y --no-install-recommends "$@" || {
		apt update
		apt install -y --no-install-recommends "$@"
	}
}

list=false
if [ "${1:-}" = --list ]; then
	list=true
	shift
fi
if [ $# -eq 0 ]; then
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
if ! command -v dpkg-query >/dev/null; then
	echo "install.sh: this is not Debian or Ubuntu; see README.md for what is needed" >&2
	exit 1
fi

all=""
for purpose in "$@"; do
	all+=" $(packages "$purpose")"
done
mapfile -t all < <(tr -s ' \n' '\n' <<<"$all" | sed '/^$/d' | sort -u)
if $list; then
	printf '%s\n' "${all[@]}"
	exit 0
fi

mapfile -t want < <(missing "${all[@]}")
if [ ${#want[@]} -gt 0 ]; then
	echo "installing: ${want[*]}"
	install "${want[@]}"
	# With fetched package lists, the run-time package of clang may be known only now.
	case " $* " in *" static "*) mapfile -t -O ${#all[@]} all < <(clang_runtime) ;; esac
	mapfile -t want < <(missing "${all[@]}")
	[ ${#want[@]} -eq 0 ] || install "${want[@]}"
fi
