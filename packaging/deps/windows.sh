#!/usr/bin/env bash
# Unpacks the sources of the libraries that the Windows programs are built with.
#
#   packaging/deps/windows.sh [FOLDER]      FOLDER: $EW_WIN_DEPS, else build/win-deps
#
# They are the distribution's own source archives, hashes checked by apt, fetched through a private
# apt view derived from this machine's own sources: nothing under /etc changes, and no address is
# written here. A newer release is asked first (mbedtls 3.6), this machine's own release second.
# Leaves FOLDER/src/{libuv1,mbedtls,protobuf-c,lmdb}; what is there already is left alone.
set -euo pipefail
cd "$(dirname "$0")/../.."

names=(libuv1 mbedtls protobuf-c lmdb)
dest=$(realpath -m "${1:-${EW_WIN_DEPS:-build/win-deps}}")
work=$dest/work

# shellcheck source=/dev/null
. /etc/os-release
own=${VERSION_CODENAME:?this system does not tell its release}
case ${ID:-} in
debian) newer=trixie ;;
ubuntu) newer=noble ;;
*) newer=$own ;;
esac

absent() {
	local name
	for name in "${names[@]}"; do
		[ -d "$dest/src/$name" ] || echo "$name"
	done
}

# One deb-src entry for a release, like the first entry this machine gets its own release from.
source_entry() {
	local suite=$1 file
	for file in /etc/apt/sources.list.d/*.sources; do
		if [ -f "$file" ] && grep -q "^Suites:.*\<$own\>" "$file"; then
			awk -v RS= '/^Types:/ || /\nTypes:/ { print; exit }' "$file" |
				sed -e '/^#/d' -e 's/^Types:.*/Types: deb-src/' -e "s/^Suites:.*/Suites: $suite/"
			return
		fi
	done
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		if [ -f "$file" ] && grep -qE "^deb .* $own " "$file"; then
			printf 'Types: deb-src\n'
			grep -E "^deb .* $own " "$file" | head -n 1 | sed -E \
				-e 's/^deb +(\[[^]]*\] +)?([^ ]+) +[^ ]+ +(.*)/URIs: \2\nSuites: '"$suite"'\nComponents: \3/'
			return
		fi
	done
	echo "windows.sh: no package source for $own on this machine" >&2
	return 1
}

make_view() {
	mkdir -p "$work"/{lists/partial,cache/archives/partial,parts,tar}
	source_entry "$newer" >"$work/parts/newer.sources"
	rm -f "$work/parts/own.sources"
	[ "$newer" = "$own" ] || source_entry "$own" >"$work/parts/own.sources"
	cat >"$work/apt.conf" <<-END
		Dir::Etc::sourcelist "/dev/null";
		Dir::Etc::sourceparts "$work/parts";
		Dir::State::lists "$work/lists";
		Dir::Cache "$work/cache";
		APT::Sandbox::User "root";
	END
	export APT_CONFIG=$work/apt.conf
	# A release that cannot be had is no failure as long as the other one can.
	apt-get -q update || true
}

# Only the upstream archive is wanted: the rest of a source package is missing in some mirrors.
fetch() {
	local name=$1 suite archives
	for suite in "$newer" "$own"; do
		rm -rf "${work:?}/tar/$name"
		mkdir -p "$work/tar/$name"
		if (cd "$work/tar/$name" && apt-get -q source --download-only --tar-only "$name/$suite"); then
			archives=("$work/tar/$name"/*.orig.tar.*)
			unpack "$name" "${archives[0]}"
			return
		fi
		echo "windows.sh: $name of $suite cannot be had" >&2
	done
	return 1
}

unpack() {
	local name=$1 archive=$2 fresh=$work/unpacked
	rm -rf "$fresh"
	mkdir -p "$fresh" "$dest/src"
	tar -xf "$archive" -C "$fresh" --strip-components=1 --no-same-owner
	mv "$fresh" "$dest/src/$name"
	echo "$name: $(basename "$archive")"
}

mapfile -t todo < <(absent)
[ ${#todo[@]} -gt 0 ] || exit 0
make_view
for name in "${todo[@]}"; do
	fetch "$name"
done
rm -rf "$work"
