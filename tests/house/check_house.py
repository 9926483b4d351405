#!/usr/bin/env python3
"""Checks the rules of the house that a compiler does not know.

    check_house.py [--root DIR]            all rules; prints FILE:LINE: RULE: text, exits 1 on any
    check_house.py --format [--root DIR]   clang-format would change nothing (skipped without it)

The rules are the tables below. A line that breaks a rule for a good reason says so on that line:
/* house-ok: the reason */
"""

import argparse
import os
import re
import shutil
import subprocess
import sys

TREES = ("lib", "proto", "platform", "agent", "server", "packaging", "tests")
SKIP_DIRS = {".git", "node_modules", "corpus", "fixtures"}
MAX_LINES = 1200
README_MAX_LINES = 150

# Folder -> folders (and single headers) it may include; the longest matching folder counts. Inside
# agent and server, the parts that talk to the outside know core and store, and never one another.
SHARED = ["lib", "proto", "platform"]
AGENT_SHARED = SHARED + ["agent/accounts.h", "agent/lease.h", "agent/worker.h",
                         "agent/link.h"]
ARROWS = {
    "lib/base": ["lib/base"],
    "lib/conda": ["lib/conda", "lib/base"],
    "lib/net": ["lib/net", "lib/base"],
    "lib/policy": ["lib/policy", "lib/conda", "lib/base"],
    "lib/advisory": ["lib/advisory", "lib/conda", "lib/base"],
    "proto": ["proto", "lib"],
    "platform": ["platform", "lib/base"],
    "agent": ["agent"] + SHARED,
    "agent/core": ["agent/core", "proto", "lib"],
    "agent/store": ["agent/store", "agent/core"] + AGENT_SHARED,
    "agent/prefix": ["agent/prefix"] + SHARED,
    "agent/reader": ["agent/reader", "agent/prefix", "agent/core"] + AGENT_SHARED,
    "agent/local": ["agent/local", "agent/core", "agent/store"] + AGENT_SHARED,
    "agent/sync": ["agent/sync", "agent/core", "agent/store"] + AGENT_SHARED,
    "agent/cli": ["agent/cli", "agent/prefix"] + SHARED,
    "server": ["server"] + SHARED,
    "server/db": ["server/db"] + SHARED,
    "server/pki": ["server/pki", "server/db"] + SHARED,
    "server/scan": ["server/scan", "server/db"] + SHARED,
    "server/feeds": ["server/feeds", "server/scan", "server/db"] + SHARED,
    "server/session": ["server/session", "server/scan", "server/pki", "server/db"] + SHARED,
    "server/api": ["server/api", "server/ui", "server/feeds", "server/scan", "server/pki",
                   "server/db"] + SHARED,
    "server/admin-cli": ["server/admin-cli"] + SHARED,
}

# Header (pattern) -> the only places (path prefixes) that may include it.
ONLY_IN = [
    (r"lmdb\.h", ["agent/store/", "tests/"]),
    (r"(mbedtls|psa)/.*", ["lib/net/tls", "lib/base/crypto", "lib/base/sha256.c", "server/pki/",
                           "tests/"]),
    (r"(sqlite3|libpq-fe)\.h", ["server/db/", "tests/"]),
    (r"microhttpd\.h", ["server/api/", "tests/"]),
    (r"nettle/.*", ["server/pki/", "tests/"]),
    (r"(jansson|sodium|archive|archive_entry)\.h|curl/.*", ["server/", "tests/"]),
    (r".*\.pb-c\.h|protobuf-c/.*", ["proto/", "agent/", "server/", "tests/"]),
    (r"(windows|winsock2|ws2tcpip|aclapi|sddl|shlobj|io)\.h", ["platform/", "tests/integration/pipe_agent.c"]),
]

# Header (pattern) -> places (path prefixes) that may never include it.
NEVER_IN = [
    (r"uv\.h", ["lib/base/", "lib/conda/", "lib/policy/", "lib/advisory/", "proto/", "agent/core/",
                "agent/store/"]),
    (r".*\.pb-c\.h|protobuf-c/.*", ["agent/core/", "agent/store/", "server/db/"]),
]

# What must compile for every system includes C11's headers and the libraries, nothing of an OS.
PORTABLE = ("lib/", "proto/", "agent/core/", "agent/prefix/", "agent/cli/")
C11_HEADERS = set(
    "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal "
    "stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath time "
    "uchar wchar wctype".split())
PORTABLE_LIBRARIES = r"(uv|yaml|\w*intrin|arm_neon)\.h|(mbedtls|psa|protobuf-c)/.*"

OS_MACROS = re.compile(
    r"\b(_WIN32|_WIN64|WIN32|__CYGWIN__|__MINGW32__|__MINGW64__|_MSC_VER|__linux__|__linux|linux|"
    r"__gnu_linux__|__ANDROID__|__APPLE__|__MACH__|__unix__|__unix|__FreeBSD__|__OpenBSD__|"
    r"__NetBSD__|TARGET_OS_\w+)\b")
OS_ALLOWED = ("platform/", "lib/base/compiler.h")

# Function (pattern) -> what to use instead; the last field names places where it is fine.
BANNED = [
    (r"strcpy|strcat|stpcpy|strncpy|strncat|gets", "lib/base/buf.h or memcpy with a length", ()),
    (r"v?sprintf", "snprintf", ()),
    (r"v?asprintf", "lib/base/text.h or lib/base/buf.h", ()),
    (r"(?:vs|vf|s|f)?scanf", "a parser that reports errors", ("tests/",)),
    (r"ato(?:i|l|ll|f)", "a parser that reports errors", ()),
    (r"strtok|strtok_r", "lib/base/text.h", ()),
    (r"system|popen", "platform/process.h, which runs no shell", ("tests/",)),
    (r"tmpnam|tempnam|mktemp", "platform/files.h", ()),
    (r"s?rand|s?random|[dlm]rand48", "lib/base/crypto.h", ("tests/",)),
    (r"localtime|gmtime|ctime|asctime", "lib/base/clock.h", ()),
    (r"malloc|calloc|realloc|reallocarray|strdup|strndup|aligned_alloc|posix_memalign",
     "lib/base/mem.h", ("lib/base/mem.c", "tests/")),
    (r"alloca", "an arena", ()),
    (r"longjmp|setjmp", "an error code", ("tests/",)),
    (r"assert", "CHECK()", ("tests/",)),
]
BANNED = [(re.compile(r"(?<![\w.])(?<!->)(" + names + r")\s*\("), use, fine)
          for names, use, fine in BANNED]

INCLUDE = re.compile(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
CONDITIONAL = re.compile(r"\s*#\s*(?:if|ifdef|ifndef|elif)\b")


def under(path, prefixes):
    return any(path.startswith(prefix) for prefix in prefixes)


def files_below(root, endings):
    for tree in TREES:
        for folder, dirs, names in os.walk(os.path.join(root, tree)):
            dirs[:] = sorted(d for d in dirs if d not in SKIP_DIRS and not d.startswith("build"))
            for name in sorted(names):
                if name.endswith(endings):
                    yield os.path.relpath(os.path.join(folder, name), root)


def strip_comments(text):
    """The text with comments, strings and characters blanked; lines stay where they are."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return token.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


class House:
    def __init__(self, root):
        self.root = root
        self.faults = []
        self.headers = {}  # header -> headers it includes, for cycles

    def fault(self, path, line, rule, text):
        self.faults.append(f"{path}:{line}: {rule}: {text}")

    def check_file(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8") as f:
            text = f.read()
        raw = text.split("\n")
        code = strip_comments(text).split("\n")
        if len(raw) - 1 > MAX_LINES:
            self.fault(path, MAX_LINES + 1, "length", f"more than {MAX_LINES} lines: split it")
        includes = []
        for number, (line, bare) in enumerate(zip(raw, code), 1):
            if re.search(r"house-ok: \w", line):
                continue
            # Strings are blanked in `bare`; an include in a comment is blank there as a whole.
            match = INCLUDE.match(line)
            if match and bare.strip():
                includes.append(match.group(1) or match.group(2))
                self.check_include(path, number, match.group(1), match.group(2))
            self.check_words(path, number, bare)
        self.check_own_header(path, includes)
        if path.endswith(".h"):
            self.headers[path] = includes

    def check_words(self, path, number, bare):
        if CONDITIONAL.match(bare) and OS_MACROS.search(bare) and not under(path, OS_ALLOWED):
            self.fault(path, number, "os-if", "an OS conditional outside platform/")
        for pattern, use, fine in BANNED:
            match = pattern.search(bare)
            if match and not under(path, fine):
                self.fault(path, number, "banned", f"{match.group(1)}(): use {use}")

    def check_include(self, path, number, own, system):
        name = own or system
        if ".." in name.split("/"):
            self.fault(path, number, "dotdot", f'"{name}": include by its path from the root')
            return
        for pattern, places in ONLY_IN:
            if re.fullmatch(pattern, name) and not under(path, places):
                self.fault(path, number, "library", f"{name} belongs in {', '.join(places)}")
        for pattern, places in NEVER_IN:
            if re.fullmatch(pattern, name) and under(path, places):
                self.fault(path, number, "library", f"{name} has no place here")
        if system and under(path, PORTABLE):
            if name[:-2] not in C11_HEADERS and not re.fullmatch(
                    PORTABLE_LIBRARIES + "|" + "|".join(p for p, _ in ONLY_IN), name):
                self.fault(path, number, "portable", f"<{name}> is not part of C11")
        if own:
            self.check_arrow(path, number, own)

    def check_arrow(self, path, number, name):
        if not under(name, tuple(t + "/" for t in TREES)):
            if not name.endswith(".pb-c.h"):
                self.fault(path, number, "path", f'"{name}": include by its path from the root')
            return
        folder = max((f for f in ARROWS if path.startswith(f + "/")), key=len, default=None)
        if folder is None:
            if not path.startswith("tests/") and name.startswith("tests/"):
                self.fault(path, number, "arrow", f"{name} is for tests only")
            return
        allowed = ARROWS[folder]
        if name not in allowed and not under(name, tuple(a + "/" for a in allowed)):
            self.fault(path, number, "arrow", f"{folder} may not include {name}")

    def check_own_header(self, path, includes):
        own = path[:-2] + ".h"
        if path.endswith(".c") and os.path.exists(os.path.join(self.root, own)):
            # A module of several files may put its private header (x_impl.h for x.h) first.
            if not includes or not includes[0].startswith((own, path[:-2] + "_")):
                self.fault(path, 1, "own-header", f'the first include is not "{own}"')

    def check_cycles(self):
        state = {}

        def visit(header, trail):
            state[header] = "open"
            for name in self.headers.get(header, []):
                if state.get(name) == "open":
                    loop = trail[trail.index(name):] if name in trail else [name]
                    self.fault(header, 1, "cycle", " -> ".join(loop + [name]))
                elif name in self.headers and name not in state:
                    visit(name, trail + [name])
            state[header] = "done"

        for header in sorted(self.headers):
            if header not in state:
                visit(header, [header])

    def check_readme(self):
        path = os.path.join(self.root, "README.md")
        if not os.path.exists(path):
            self.fault("README.md", 1, "readme", "is missing")
            return
        with open(path, encoding="utf-8") as f:
            lines = f.read().split("\n")
        if len(lines) - 1 >= README_MAX_LINES:
            self.fault("README.md", README_MAX_LINES, "readme", f"not under {README_MAX_LINES} lines")
        for number, line in enumerate(lines, 1):
            for script in re.findall(r"(?<![\w/.])\./([\w./-]+)", line):
                full = os.path.join(self.root, script)
                if script.startswith("build/"):
                    continue
                if not (os.path.isfile(full) and os.access(full, os.X_OK)):
                    self.fault("README.md", number, "readme", f"./{script} is no program here")
            for link in re.findall(r"\]\(([^)#]+)[^)]*\)", line):
                if "://" not in link and not os.path.exists(os.path.join(self.root, link)):
                    self.fault("README.md", number, "readme", f"{link} does not exist")

    def check_scripts(self):
        for path in files_below(self.root, (".sh",)):
            if not os.access(os.path.join(self.root, path), os.X_OK):
                self.fault(path, 1, "script", "is not executable")


def check_format(root):
    if not shutil.which("clang-format"):
        print("clang-format is not here: format not checked")
        return 0
    files = list(files_below(root, (".c", ".h")))
    if not files:
        return 0
    return subprocess.run(["clang-format", "--dry-run", "-Werror"] + files, cwd=root).returncode


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description="checks the rules of the house")
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(here)))
    parser.add_argument("--format", action="store_true")
    args = parser.parse_args()
    if args.format:
        return 1 if check_format(args.root) else 0
    house = House(args.root)
    count = 0
    for path in files_below(args.root, (".c", ".h")):
        house.check_file(path)
        count += 1
    house.check_cycles()
    house.check_readme()
    house.check_scripts()
    for fault in house.faults:
        print(fault)
    print(f"{count} files, {len(house.faults)} faults")
    return 1 if house.faults else 0


if __name__ == "__main__":
    sys.exit(main())
