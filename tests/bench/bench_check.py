#!/usr/bin/env python3
"""Activation checks: starts an agent and has bench_check and bench_check_daemon measure it."""

import subprocess

import bench

PACKAGES = 400


def measure(site, prefix, *words):
    subprocess.run([bench.BIN / "bench_check", bench.BIN / "envwarden", site.socket, prefix, *words],
                   check=True, env=site.env)


def main():
    with bench.Site() as site:
        prefix = site.make_environments(bench.records(PACKAGES), 1)[0]
        site.start()
        site.wait_log("first scan done")
        measure(site, prefix)
        subprocess.run([bench.BIN / "bench_check_daemon", site.socket, prefix], check=True,
                       env=site.env)
    with bench.Enrolled() as site:
        prefix = site.make_environments(bench.records(PACKAGES), 1)[0]
        site.start(1)
        measure(site, prefix, f" under {bench.RULES} rules")


if __name__ == "__main__":
    main()
