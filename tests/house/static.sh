#!/usr/bin/env bash
# Static checks of the whole tree: house rules, format, shell scripts, clang-tidy.
#
#   tests/house/static.sh [PATTERN]     PATTERN: only files whose path matches go through clang-tidy
set -euo pipefail
cd "$(dirname "$0")/../.."
pattern=${1:-.}

python3 tests/house/check_house.py
python3 tests/house/check_house.py --format
# Those in .ci have no ending. Installed hooks for other shells check themselves in their own tests.
find packaging tests .ci -name '*.sh' -print0 -o -path .ci/run -print0 | xargs -0 shellcheck

# The compile commands of the ordinary build, whose flags clang understands.
cmake --preset debug >/dev/null
cmake --build --preset debug --target proto_wire
jq -r --arg root "$PWD/" --arg pattern "$pattern" \
	'.[].file | select(startswith($root)) | ltrimstr($root) | select(startswith("build/") | not) |
	select(startswith("tests/") | not) | select(test($pattern))' build/debug/compile_commands.json |
	sort -u | xargs -r -n 4 -P "$(nproc)" clang-tidy --quiet -p build/debug
