#!/usr/bin/env bash
# Measures the agent, the command and the server against their budgets, and prints the table of
# docs/performance.md with its date and machine. Takes about ten minutes beside building; the machine
# should have nothing else to do.
#
#   tests/bench/run.sh [--no-build]     programs: build/bench/bin, or the folder EW_BIN
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "${1:-}" != --no-build ]; then
	packaging/deps/install.sh test >&2
	# Built as for release, in a folder of their own: the release preset leaves tests out.
	cmake --preset release -B build/bench -DEW_TESTS=ON >&2
	cmake --build build/bench --target envwardend envwarden envwarden-server envwarden-admin \
		bench_check bench_check_daemon bench_spec bench_decide bench_fleet >&2
fi
export EW_BIN=${EW_BIN:-$PWD/build/bench/bin}

load() {
	echo "load average $(cut -d ' ' -f 1 /proc/loadavg)"
}

cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
echo "$(date -u +%Y-%m-%d), $(nproc) x ${cpu:-$(uname -m)}, Linux $(uname -r), $(load) at the start"
echo
echo "| what | figure | reference | ratio | budget | |"
echo "|---|---|---|---|---|---|"
for program in check busy hung pth scan reread durable policy fleet plan; do
	python3 "tests/bench/bench_$program.py"
done
# These two mostly wait, and do not mind each other.
python3 tests/bench/bench_idle.py &
python3 tests/bench/bench_memory.py
wait $!
"$EW_BIN/bench_spec"
"$EW_BIN/bench_decide"
echo
echo "At the end: $(load)"
