#!/usr/bin/env bash
# Static checks of the whole tree: house rules, format, shell scripts, clang-tidy.
#
#   tests/house/static.sh [PATTERN]     PATTERN: only files whose path matches go through clang-tidy
set -euo pipefail
cd "$(dirname "$0")/../.."
pattern=${1:-.}

failed=""

# All of them, so that one run tells everything.
try() {
	local name=$1
	shift
	"$@" || failed+=" $name"
}

shell_scripts() {
	find packaging tests .ci '(' -name '*.sh' -o -path .ci/run ')' -print0 | xargs -0 shellcheck
}

# As systemd reads them, where it is installed; the program need not be.
units() {
	local dir unit name told=""
	command -v systemd-analyze >/dev/null || return 0
	dir=$(mktemp -d)
	for unit in packaging/systemd/*; do
		sed 's,^ExecStart=[^ ]*,ExecStart=/bin/true,' "$unit" >"$dir/$(basename "$unit")"
	done
	for unit in "$dir"/*; do
		name=$(basename "$unit")
		told+=$(systemd-analyze verify "$dir/${name/@./@x.}" 2>&1 || echo "$name does not hold")
	done
	rm -r "$dir"
	[ -z "$told" ] || echo "$told" >&2
	[ -z "$told" ]
}

# Sources of the programs, by the compile commands of a build without tests.
# One file a process: the analyser of clang 14 carries facts about va_list into the next file.
tidy() {
	cmake --preset debug -B build/static -DEW_TESTS=OFF >/dev/null &&
		cmake --build build/static --target proto_wire >/dev/null &&
		jq -r --arg root "$PWD/" --arg pattern "$pattern" \
			'.[].file | select(startswith($root)) | ltrimstr($root) |
			select(test("^(build|tests)/") | not) | select(test($pattern))' \
			build/static/compile_commands.json |
		sort -u | xargs -r -n 1 -P "$(nproc)" clang-tidy --quiet -p build/static 2>/dev/null
}

try rules python3 tests/house/check_house.py
try format python3 tests/house/check_house.py --format
try shell shell_scripts
try units units
try clang-tidy tidy
if [ -n "$failed" ]; then
	echo "static checks failed:$failed" >&2
	exit 1
fi
