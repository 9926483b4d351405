#!/usr/bin/env python3
"""What an agent does while nothing happens: wake-ups of all its threads, bytes written to disk.

One that is alone, one that is connected to its organisation with a policy in force, and one with an
environment that is blocked, which looks at what runs. Counted for a minute, after what follows the
start: the server is told of decisions once a minute.
"""

import time

import bench

ENVIRONMENTS = 20
PACKAGES = 40
CALM_S = 75
WATCHED_S = 60
WAKE_UPS = 2


def rows(what, wake_ups, written):
    bench.row(f"wake-ups of an idle agent, {what}, all threads", wake_ups, None, "/min",
              f"<= {WAKE_UPS} /min", wake_ups <= WAKE_UPS)
    bench.row(f"bytes an idle agent writes, {what}", written, None, "B/min", "0", written == 0)


def main():
    with bench.Site() as alone, bench.Enrolled() as enrolled, bench.Enrolled() as blocking:
        sites = (alone, enrolled, blocking)
        for site in sites:
            site.make_environments(bench.records(PACKAGES), ENVIRONMENTS)
        alone.start()
        alone.wait_created(ENVIRONMENTS)
        enrolled.start(ENVIRONMENTS)
        blocking.configure(running=True)
        blocking.start(ENVIRONMENTS)
        blocking.block_one()
        time.sleep(CALM_S)
        before = [(site.wake_ups(), site.written_bytes()) for site in sites]
        time.sleep(WATCHED_S)
        after = [(site.wake_ups(), site.written_bytes()) for site in sites]
    for what, (wakes, bytes_), (wakes_then, bytes_then) in zip(
            ("alone", "connected", "one environment blocked"), after, before):
        rows(what, wakes - wakes_then, bytes_ - bytes_then)


if __name__ == "__main__":
    main()
