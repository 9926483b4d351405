#!/usr/bin/env python3
"""What an agent does while nothing happens: wake-ups of all its threads, bytes written to disk."""

import time

import bench

ENVIRONMENTS = 20
PACKAGES = 40
CALM_S = 40  # threads that have nothing to do are gone by then
WATCHED_S = 60
WAKE_UPS = 2


def main():
    with bench.Site() as site:
        site.make_environments(bench.records(PACKAGES), ENVIRONMENTS)
        site.start()
        site.wait_created(ENVIRONMENTS)
        time.sleep(CALM_S)
        wake_ups, written = site.wake_ups(), site.written_bytes()
        time.sleep(WATCHED_S)
        wake_ups, written = site.wake_ups() - wake_ups, site.written_bytes() - written
    bench.row("wake-ups of an idle agent, all threads", wake_ups, None, "/min", "<= 2 /min",
              wake_ups <= WAKE_UPS)
    bench.row("bytes an idle agent writes", written, None, "B/min", "0", written == 0)


if __name__ == "__main__":
    main()
