#!/usr/bin/env python3
"""Reading an environment of 400 packages again after one of them changed.

The time from the change to the journal, without the settle time, and the bytes the reader reads
meanwhile; against a first look at the same environment, and against `cat` of the one file. Each
round changes one package's record to the next version and waits for the journal's line.
"""

import json
import pathlib
import subprocess
import time

import bench

PACKAGES = 400
ROUNDS = 15
SETTLE_MS = 250
OLD_S = 3  # younger files are read again each time (agent/prefix/marks.h)
BYTES_BUDGET = 0.1


def reader_bytes(site):
    for pid in bench.children(site.agent.pid):
        if "envwarden-read" in pathlib.Path(f"/proc/{pid}/comm").read_text():
            return bench.status_field(pathlib.Path(f"/proc/{pid}/io"), "rchar")
    raise RuntimeError("there is no reader")


def append_history(meta, minus, plus):
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    with open(meta / "history", "a", encoding="ascii") as file:
        file.write(f"==> {now} <==\n# cmd: conda update one\n# conda version: 26.7.1\n"
                   f"-{minus}\n+{plus}\n")


class Package:
    """One record, of a middling size, that gets the next version again and again."""

    def __init__(self, prefix):
        self.meta, self.number = prefix / "conda-meta", 0
        sizes = sorted((file.stat().st_size, file) for file in self.meta.glob("*.json"))
        self.file = sizes[len(sizes) // 2][1]
        self.record = json.loads(self.file.read_text())

    def dist(self):
        r = self.record
        return f"{r['channel'].rsplit('/', 1)[-1]}::{r['name']}-{r['version']}-{r['build']}"

    def change(self):
        old_file, old = self.file, self.dist()
        self.number += 1
        self.record["version"] = f"9999.{self.number}"
        self.file = self.meta / f"{self.record['name']}-9999.{self.number}-{self.record['build']}.json"
        self.file.write_text(json.dumps(self.record, indent=2, sort_keys=True))
        old_file.unlink()
        append_history(self.meta, old, self.dist())


def cat_ms(files):
    start = time.monotonic()
    subprocess.run(["cat", *files], check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic() - start) * 1000


def main():
    rereads, read, cats = [], [], []
    with bench.Site() as site:
        site.configure(f"settle_ms = {SETTLE_MS}\n")
        prefix = site.make_environments(bench.records(PACKAGES), 1)[0]
        package = Package(prefix)
        time.sleep(OLD_S)
        start = time.monotonic()
        site.start()
        first = (site.wait_log(f'journal: created prefix="{prefix}"') - start) * 1000
        first_bytes = reader_bytes(site)
        for _ in range(ROUNDS):
            time.sleep(OLD_S)
            before = reader_bytes(site)
            package.change()
            changed = time.monotonic()
            told = site.wait_log(f'prefix="{prefix}"')
            rereads.append((told - changed) * 1000 - SETTLE_MS)
            read.append(reader_bytes(site) - before)
            cats.append(cat_ms([package.file]))
    reread, cat = bench.median(rereads), bench.median(cats)
    bench.row("re-read after one package of 400 changed, beyond the settle time, against `cat` of its "
              "record", reread, cat, "ms", "-", True)
    bench.row("... against the agent's start and first look at all", reread, first, "ms", "<= 1 x",
              reread <= first)
    bench.row("... bytes read, against those of the first look", bench.median(read) / 1024,
              first_bytes / 1024, "KiB", "<= 0.1 x",
              bench.median(read) <= BYTES_BUDGET * first_bytes)


if __name__ == "__main__":
    main()
