#!/usr/bin/env python3
"""From the last write of a change to the journal: how long beyond the settle time.

    bench_durable.py [COUNT]

Installs and removes a package in one environment, as conda does, COUNT times in all. A change is
durable when a follower of the history is told. Against a page written to a file and made durable in
the same folder after each change: what the disk alone takes.
"""

import json
import os
import subprocess
import sys
import time

import bench
import conda_writer

COUNT = 1000
SETTLE_MS = 50  # the least there is: so that it takes a minute only
PACKAGE = "requests-2.28.2-pyhd8ed1ab_0"
OTHERS = ("bzip2-1.0.8-h93a5062_5", "openssl-3.3.0-hfb2fe0b_3", "icu-73.2-hc8870d7_0")
BUDGET_MS = 20


def page_ms(file):
    start = time.monotonic()
    os.pwrite(file, bytes(4096), 0)
    os.fdatasync(file)
    return (time.monotonic() - start) * 1000


def measure(site, prefix, count):
    """Milliseconds beyond the settle time, and of the disk alone."""
    writer = conda_writer.Writer(site.home)
    follower = subprocess.Popen(site.command("history", prefix, "--follow", "--json"),
                                stdout=subprocess.PIPE, text=True, env=site.env)
    page = os.open(site.dir / "page", os.O_WRONLY | os.O_CREAT)
    beyond, disk = [], []
    try:
        json.loads(follower.stdout.readline())  # the creation
        for number in range(count):
            minus, plus = ([], [PACKAGE]) if number % 2 == 0 else ([PACKAGE], [])
            writer.change(prefix, minus, plus, "update -y")
            written = time.monotonic()
            change = json.loads(follower.stdout.readline())
            beyond.append((time.monotonic() - written) * 1000 - SETTLE_MS)
            if len(change["added"]) != len(plus) or len(change["removed"]) != len(minus):
                raise RuntimeError(f"not the change that was made: {change}")
            disk.append(page_ms(page))
    finally:
        follower.kill()
        follower.wait()
        os.close(page)
    return beyond, disk


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    with bench.Site() as site:
        site.configure(f"settle_ms = {SETTLE_MS}\n")
        prefix = site.home / "envs" / "e"
        prefix.parent.mkdir()
        conda_writer.Writer(site.home).create(prefix, OTHERS)
        site.start()
        site.wait_created()
        beyond, disk = measure(site, prefix, count)
    for name, share in (("median", 0.5), ("p99", 0.99)):
        figure = bench.percentile(beyond, share)
        bench.row(f"last write to durable, beyond the settle time, {name} of {count}", figure,
                  bench.percentile(disk, share), "ms", "<= 20 ms p99", figure <= BUDGET_MS)


if __name__ == "__main__":
    main()
