#!/usr/bin/env bash
# Builds the tests and runs them, from nothing: installs what is missing first.
#
#   tests/run.sh [--all] [--preset asan|tsan|debug] [CTEST-ARGUMENT...]
#
# Without --all, tests labelled "long" are left out. Fails if any test fails or none was run.
set -euo pipefail
cd "$(dirname "$0")/.."

preset=asan
chosen=(-LE long)
while [ $# -gt 0 ]; do
	case $1 in
	--all) chosen=() ;;
	--preset)
		preset=${2:?--preset wants a name}
		shift
		;;
	--help)
		sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*) break ;;
	esac
	shift
done

# A sanitizer that finds something ends the test; a leak is something.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}
export CTEST_OUTPUT_ON_FAILURE=1

# Compilers differ in what they warn about: that fails in CI, not at home.
packaging/deps/install.sh test
cmake --preset "$preset" -DEW_WERROR="${CI:+ON}"
cmake --build --preset "$preset"
ctest --test-dir "build/$preset" --no-tests=error -j "$(nproc)" "${chosen[@]}" "$@"
