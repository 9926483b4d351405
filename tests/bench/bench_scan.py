#!/usr/bin/env python3
"""The first scan of 200 environments with 400 packages each, and the agent's memory.

    bench_scan.py [--records FOLDER]

The environments hold hard links of the same records, which are in the page cache. The time from the
agent's start to the last environment in the journal, against `cat` of the same files in turns. With
--records, the packages are made from the records of another folder than the fixtures.
"""

import argparse
import pathlib
import subprocess
import threading
import time

import bench

ENVIRONMENTS = 200
PACKAGES = 400
ROUNDS = 3
IDLE_S = 30
SAMPLE_S = 0.01
TIME_BUDGET, SCAN_MB, IDLE_MB = 2, 16, 6


def cat_s(prefixes):
    """One process for each environment, all started by one."""
    names = "".join(f"{file}\0" for prefix in prefixes
                    for file in sorted((prefix / "conda-meta").glob("*.json")))
    start = time.monotonic()
    subprocess.run(["xargs", "-0", "-n", str(PACKAGES), "cat"], input=names.encode(), check=True,
                   stdout=subprocess.DEVNULL)
    return time.monotonic() - start


class Peak(threading.Thread):
    """The most memory a site's agent had between start and end."""

    def __init__(self, site):
        super().__init__(daemon=True)
        self.site, self.mb, self.going = site, 0, True

    def run(self):
        while self.going:
            self.mb = max(self.mb, self.site.rss_anon_mb())
            time.sleep(SAMPLE_S)

    def end(self):
        self.going = False
        self.join()
        return self.mb


def scan(site):
    """(seconds, most MB) of a first scan; the agent goes on."""
    start = time.monotonic()
    site.start()
    peak = Peak(site)
    peak.start()
    seconds = site.wait_created(ENVIRONMENTS) - start
    return seconds, peak.end()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=pathlib.Path, default=bench.FIXTURES)
    options = parser.parse_args()
    cats, scans, peaks = [], [], []
    with bench.Site() as site:
        prefixes = site.make_environments(bench.records(PACKAGES, options.records), ENVIRONMENTS)
        cat_s(prefixes)
        for number in range(ROUNDS):
            if number > 0:
                site.stop()
                site.forget()
            cats.append(cat_s(prefixes))
            seconds, mb = scan(site)
            scans.append(seconds)
            peaks.append(mb)
        time.sleep(IDLE_S)
        idle = site.rss_anon_mb()
    cat, full = bench.median(cats), bench.median(scans)
    bench.row("first scan, 200 x 400, warm, against `cat`", full, cat, "s", "<= 2 x",
              full <= TIME_BUDGET * cat)
    bench.row("RssAnon in that scan, all processes, most", max(peaks), None, "MB", "<= 16 MB",
              max(peaks) <= SCAN_MB)
    bench.row("RssAnon 30 s later", idle, None, "MB", "<= 6 MB", idle <= IDLE_MB)


if __name__ == "__main__":
    main()
