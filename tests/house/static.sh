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
try clang-tidy tidy
if [ -n "$failed" ]; then
	echo "static checks failed:$failed" >&2
	exit 1
fi
