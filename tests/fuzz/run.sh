#!/usr/bin/env bash
# Fuzzes every parser for a while (clang, libFuzzer, sanitizers), starting from its corpus.
#
#   tests/fuzz/run.sh [SECONDS [PATTERN]]     of each target (10); only targets whose name matches
#
# What a run finds new goes into a temporary folder, and so does the input that broke something:
# that folder is then kept and named. EW_FUZZ_BUILD: the build folder (build/fuzz).
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-10}
pattern=${2:-.}
build=${EW_FUZZ_BUILD:-build/fuzz}

cmake --preset fuzz -B "$build" >/dev/null
mapfile -t targets < <(sed -n 's/^ew_fuzz(\([a-z0-9_]*\).*/\1/p' tests/fuzz/CMakeLists.txt | grep -E "$pattern")
cmake --build "$build" --target "${targets[@]/#/fuzz_}"

found=$(mktemp -d)
failed=""
for name in "${targets[@]}"; do
	mkdir "$found/$name"
	if "$build/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-artifact_prefix="$found/$name." "$found/$name" "tests/fuzz/corpus/$name" \
		>"$found/$name.log" 2>&1; then
		echo "$name: $(sed -n 's/^Done \([0-9]* runs\).*/\1/p' "$found/$name.log")"
	else
		echo "$name: FAILED"
		tail -n 40 "$found/$name.log"
		failed+=" $name"
	fi
done
if [ -n "$failed" ]; then
	echo "fuzzing failed:$failed; see $found" >&2
	exit 1
fi
rm -rf "$found"
