#!/usr/bin/env python3
"""What an agent's memory grows with: environments, not packages.

Private memory (RssAnon) of all its processes, idle, with 200 and 2,000 environments of 400 packages
each and with 2,000 of 40. The records are hard links of the same files.
"""

import contextlib
import os
import time

import bench

IDLE_S = 45  # threads that have nothing to do are gone by then
EACH_BUDGET, MIB = 2048, 1 << 20


def resting_bytes(*sizes):
    """Of (environments, packages) each, all at a time: private memory does not mind others."""
    with contextlib.ExitStack() as stack:
        sites = [stack.enter_context(bench.Site()) for _ in sizes]
        for site, (environments, packages) in zip(sites, sizes):
            site.make_environments(bench.records(packages), environments)
            site.start()
        for site, (environments, _) in zip(sites, sizes):
            site.wait_created(environments)
        time.sleep(IDLE_S)
        return [site.rss_anon_mb() * MIB for site in sites]


def main():
    few = int(os.environ.get("EW_BENCH_FEW") or 200)
    many = int(os.environ.get("EW_BENCH_MANY") or 2000)
    small, large, light = resting_bytes((few, 400), (many, 400), (many, 40))
    each = (large - small) / (many - few)
    bench.row(f"RssAnon, idle, {few} x 400", small / MIB, None, "MB", "<= 6 MB", small <= 6 * MIB)
    bench.row(f"RssAnon, idle, {many} x 400", large / MIB, small / MIB, "MB", "-", True)
    bench.row("... for each environment more", each, None, "B", "<= 2 KB", each <= EACH_BUDGET)
    bench.row(f"RssAnon, idle, {many} x 400, against {many} x 40", large / MIB, light / MIB, "MB",
              "<= 1.2 x", large <= 1.2 * light)


if __name__ == "__main__":
    main()
