#!/usr/bin/env python3
"""Activation checks: starts an agent and has bench_check and bench_check_daemon measure it."""

import subprocess

import bench


def main():
    with bench.Site() as site:
        prefix = site.make_environments(bench.records(400), 1)[0]
        site.start()
        site.wait_log("first scan done")
        subprocess.run([bench.BIN / "bench_check", bench.BIN / "envwarden", site.socket, prefix],
                       check=True, env=site.env)
        subprocess.run([bench.BIN / "bench_check_daemon", site.socket, prefix], check=True,
                       env=site.env)


if __name__ == "__main__":
    main()
