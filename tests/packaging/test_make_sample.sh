#!/usr/bin/env bash
# packaging/sample/make-sample.sh leaves what conda would leave, after each step.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
HOME=$(mktemp -d)
export HOME
trap 'rm -rf "$HOME"' EXIT
sample=$root/packaging/sample/make-sample.sh
prefix=$HOME/.conda/envs/demo
failures=0

# state RECORDS SECTIONS: the records there are, and how many sections history has.
state() {
	local records sections
	records=$(cd "$prefix/conda-meta" && echo *.json)
	sections=$(grep -c '^==> .* <==$' "$prefix/conda-meta/history")
	[ "$records" = "$1" ] && [ "$sections" -eq "$2" ] && ! ls "$prefix"/conda-meta/*.c~ 2>/dev/null
}

check() {
	local what=$1
	shift
	if "$@"; then
		echo "ok: $what"
	else
		echo "not ok: $what"
		failures=$((failures + 1))
	fi
}

fails() {
	! "$@" 2>/dev/null
}

certificates=ca-certificates-2024.2.2-hf0a4a13_0.json
old=libsqlite-3.40.0-hcfcfb64_0.json
new=libsqlite-3.45.3-h091b4b1_0.json

"$sample" create demo "$certificates" "$old"
check "created" state "$certificates $old" 1
check "registered" grep -qx "$prefix" "$HOME/.conda/environments.txt"
check "not created twice" fails "$sample" create demo "$old"
"$sample" install demo "$new"
check "updated" state "$certificates $new" 2
check "removal comes before addition" [ "$(grep -n '^[-+]' "$prefix/conda-meta/history" | tail -n 2 |
	sed 's/^[0-9]*:\(.\).*/\1/' | tr -d '\n')" = "-+" ]
check "dist is named by channel and subdir" grep -qxF -- \
	"+https://conda.anaconda.org/conda-forge/osx-arm64::libsqlite-3.45.3-h091b4b1_0" \
	"$prefix/conda-meta/history"
check "specs follow" grep -qxF "# update specs: ['libsqlite=3.45.3']" "$prefix/conda-meta/history"
check "records are untouched copies" cmp -s "$prefix/conda-meta/$new" "$root/packaging/sample/records/$new"
check "an unknown record fails" fails "$sample" install demo nothing
check "an absent package fails" fails "$sample" remove demo numpy
"$sample" remove demo libsqlite
check "removed" state "$certificates" 3
"$sample" delete demo
check "deleted" [ ! -e "$prefix" ]
check "unregistered" [ ! -s "$HOME/.conda/environments.txt" ]

[ "$failures" -eq 0 ] || { echo "$failures failed"; exit 1; }
