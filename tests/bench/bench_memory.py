#!/usr/bin/env python3
"""What an agent's memory grows with: environments, not packages.

Private memory (RssAnon) of all its processes, idle, with 200 and 2,000 environments of 400 packages
each and with 2,000 of 40. The records are hard links of the same files.
"""

import os
import time

import bench

IDLE_S = 45  # threads that have nothing to do are gone by then
EACH_BUDGET, MIB = 2048, 1 << 20


def resting_bytes(environments, packages):
    with bench.Site() as site:
        site.make_environments(bench.records(packages), environments)
        site.start()
        site.wait_created(environments)
        time.sleep(IDLE_S)
        return site.rss_anon_mb() * MIB


def main():
    few = int(os.environ.get("EW_BENCH_FEW") or 200)
    many = int(os.environ.get("EW_BENCH_MANY") or 2000)
    small = resting_bytes(few, 400)
    large = resting_bytes(many, 400)
    light = resting_bytes(many, 40)
    each = (large - small) / (many - few)
    bench.row(f"RssAnon, idle, {few} x 400", small / MIB, None, "MB", "<= 6 MB", small <= 6 * MIB)
    bench.row(f"RssAnon, idle, {many} x 400", large / MIB, small / MIB, "MB", "", True)
    bench.row("... for each environment more", each, None, "B", "<= 2 KB", each <= EACH_BUDGET)
    bench.row(f"RssAnon, idle, {many} x 400, against {many} x 40", large / MIB, light / MIB, "MB",
              "<= 1.2 x", large <= 1.2 * light)


if __name__ == "__main__":
    main()
