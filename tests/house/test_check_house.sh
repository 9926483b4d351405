#!/usr/bin/env bash
# The check of the house against small trees: each must fail with the rule it breaks, the good one
# must pass. A check that cannot fail would say nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

# A tree that keeps every rule, made anew for each case.
good_tree() {
	rm -rf "${tree:?}"/*
	mkdir -p "$tree"/{lib/base,lib/conda,lib/policy,lib/net,proto,platform,packaging}
	mkdir -p "$tree"/agent/{core,store,prefix,reader,cli,local,sync} "$tree"/server/{db,api,session}
	printf '#include "lib/base/a.h"\n\n#include <string.h>\n#include <uv.h>\n' >"$tree/lib/net/b.c"
	printf '#include <stddef.h>\n' >"$tree/lib/base/a.h"
	printf '#include "lib/base/a.h"\n\n#include <stdio.h>\n' >"$tree/lib/base/a.c"
	printf '#include "agent/core/c.h"\n#include "proto/p.h"\n' >"$tree/agent/store/s.c"
	printf '#include "lib/conda/x.h"\n' >"$tree/agent/core/c.h"
	printf '#ifdef _WIN32\n#include <windows.h>\n#endif\n' >"$tree/platform/x_windows.c"
	printf 'one\n' >"$tree/README.md"
	printf '#!/bin/sh\n' >"$tree/packaging/go.sh"
	chmod +x "$tree/packaging/go.sh"
}

# expect_fault RULE FILE TEXT [FILE TEXT]: the files with TEXT appended break RULE in the first one,
# and no other rule.
expect_fault() {
	local rule=$1 file=$2 out
	good_tree
	printf '%b' "$3" >>"$tree/$2"
	[ $# -le 3 ] || printf '%b' "$5" >>"$tree/$4"
	if out=$("$here/check_house.py" --root "$tree"); then
		echo "not ok: $rule was not seen in $file: $text"
		failures=$((failures + 1))
	elif ! grep -q "^$file:[0-9]*: $rule: " <<<"$out" || grep -v ": $rule: " <<<"$out" | grep -qv faults; then
		echo "not ok: wanted $rule in $file, got: $out"
		failures=$((failures + 1))
	else
		echo "ok: $rule in $file"
	fi
}

expect_clean() {
	local file=$1 text=$2 out
	good_tree
	printf '%b' "$text" >>"$tree/$file"
	if out=$("$here/check_house.py" --root "$tree"); then
		echo "ok: clean $file"
	else
		echo "not ok: false alarm: $out"
		failures=$((failures + 1))
	fi
}

expect_fault arrow lib/base/z.c '#include "lib/conda/x.h"\n'
expect_fault arrow lib/conda/z.c '#include "lib/policy/x.h"\n'
expect_fault arrow lib/policy/z.c '#include "lib/net/x.h"\n'
expect_fault arrow lib/net/z.c '#include "proto/x.h"\n'
expect_fault arrow proto/z.c '#include "platform/x.h"\n'
expect_fault arrow platform/z.c '#include "lib/conda/x.h"\n'
expect_fault arrow platform/z.c '#include "agent/core/x.h"\n'
expect_fault arrow agent/z.c '#include "server/db/x.h"\n'
expect_fault arrow server/db/z.c '#include "agent/core/x.h"\n'
expect_fault arrow agent/core/z.c '#include "agent/reader/x.h"\n'
expect_fault arrow agent/core/z.c '#include "agent/store/x.h"\n'
expect_fault arrow agent/core/z.c '#include "agent/local/x.h"\n'
expect_fault arrow agent/core/z.c '#include "agent/sync/x.h"\n'
expect_fault arrow agent/local/z.c '#include "agent/sync/x.h"\n'
expect_fault arrow agent/reader/z.c '#include "agent/store/x.h"\n'
expect_fault arrow agent/prefix/z.c '#include "agent/reader/x.h"\n'
expect_fault arrow agent/cli/z.c '#include "agent/reader/x.h"\n'
expect_fault arrow server/api/z.c '#include "server/session/x.h"\n'
expect_fault arrow lib/base/z.c '#include "tests/support/x.h"\n'

expect_fault library lib/base/z.c '#include <lmdb.h>\n'
expect_fault library agent/core/z.c '#include <lmdb.h>\n'
expect_fault library agent/core/z.c '#include <uv.h>\n'
expect_fault library lib/conda/z.c '#include <uv.h>\n'
expect_fault library proto/z.c '#include <uv.h>\n'
expect_fault library lib/net/conn.c '#include <mbedtls/ssl.h>\n'
expect_fault library server/api/z.c '#include <sqlite3.h>\n'
expect_fault library lib/net/z.c '#include "local.pb-c.h"\n'
expect_fault library lib/net/z.c '#include <protobuf-c/protobuf-c.h>\n'
expect_fault library agent/z.c '#include <windows.h>\n'
expect_fault portable lib/net/z.c '#include <unistd.h>\n'
expect_fault portable lib/base/z.c '#include <sys/types.h>\n'

expect_fault os-if lib/base/z.c '#ifdef _WIN32\n#endif\n'
expect_fault os-if agent/z.c '#if defined(__linux__) && 1\n#endif\n'
expect_fault os-if server/z.c '#if 0\n#elif defined(__APPLE__)\n#endif\n'

for call in 'strcpy(a, b)' 'strcat(a, b)' 'sprintf(a, "x")' 'vsprintf(a, f, v)' 'gets(a)' \
	'atoi(a)' 'atol (a)' 'strtok(a, b)' 'system(a)' 'popen(a, b)' 'malloc(1)' 'calloc(1, 2)' \
	'realloc(a, 2)' 'strdup(a)' 'rand()' 'sscanf(a, f, p)' 'alloca(1)' 'assert(a)'; do
	expect_fault banned agent/z.c "\\t$call;\\n"
done

expect_fault dotdot agent/z.c '#include "../lib/base/a.h"\n'
expect_fault path agent/z.c '#include "z.h"\n'
expect_fault own-header agent/z.c '#include <stdio.h>\n#include "agent/z.h"\n' agent/z.h ''
expect_fault cycle agent/z.h '#include "agent/y.h"\n' agent/y.h '#include "agent/z.h"\n'
expect_fault length agent/z.c "$(printf 'int x;\\n%.0s' $(seq 1201))"
expect_fault readme README.md "$(printf 'x\\n%.0s' $(seq 150))"
expect_fault readme README.md 'Run ./packaging/none.sh now\n'
expect_fault readme README.md 'See [it](docs/none.md)\n'
expect_fault script packaging/bad.sh '#!/bin/sh\n'

expect_clean agent/z.c '/* strcpy(a, b) and\n * malloc(3) */ // sprintf(x)\n'
expect_clean agent/z.c '\tputs("system(a) // atoi(b)");\n'
expect_clean agent/z.c '\tmem_malloc(1); x->random(1); y.system(2); fgets(a, 1, f); my_atoi(a);\n'
expect_clean agent/z.c '\tx = strdup(a); /* house-ok: freed by the library */\n'
expect_clean agent/z.c '#ifdef ENVWARDEN_WIN32_STYLE\n#endif\n'
expect_clean agent/store/z.c '#include <lmdb.h>\n'
expect_clean lib/net/tls_x.c '#include <mbedtls/ssl.h>\n'
expect_clean README.md 'Run ./packaging/go.sh, see [it](packaging/go.sh) and [there](https://x.example/)\n'

[ "$failures" -eq 0 ] || { echo "$failures failed"; exit 1; }
