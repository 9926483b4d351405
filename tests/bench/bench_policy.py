#!/usr/bin/env python3
"""A policy's way to a connected agent: from its being applied until the agent acts on it, and until
a check says so.
"""

import sys
import time

import bench

sys.path.insert(0, str(bench.ROOT / "tests" / "integration"))
import harness  # noqa: E402

ROUNDS = 30
BUDGET_S = 1
SAMPLE = bench.ROOT / "packaging" / "sample" / "make-sample.sh"
POLICY = """policy: 1
rules:
  - {{id: old-certificates, when: {{package: "ca-certificates <2025"}}, action: {action}}}
"""


def wait(reached):
    end = time.monotonic() + bench.PATIENCE_S
    while not reached():
        if time.monotonic() > end:
            raise RuntimeError("it does not arrive")
        time.sleep(0.001)
    return time.monotonic()


def measure(site):
    prefix = site.home / ".conda" / "envs" / "e"
    site.must(SAMPLE, "create", "e", "ca-certificates-2024.2.2-hf0a4a13_0")
    site.record(prefix)
    log = (site.dir / "agent.log").open()
    active, checked = [], []
    for i in range(ROUNDS):
        action, code = (("warn", 0), ("block", 4))[i % 2]
        log.read()
        begin = time.monotonic()
        site.api("/policy", {"source": POLICY.format(action=action)})
        active.append(wait(lambda: f"policy={i + 1}" in log.read()) - begin)
        checked.append(wait(lambda: site.ew("check", "--prefix", prefix).code == code) - begin)
    for what, took in (("the agent acts on it", active), ("a check says so", checked)):
        bench.row(f"policy applied until {what}, median of {ROUNDS}", bench.median(took) * 1e3,
                  None, "ms", "-", True)
        bench.row("... at most", max(took) * 1e3, None, "ms", f"<= {BUDGET_S * 1000} ms",
                  max(took) <= BUDGET_S)


def main():
    site = harness.Site()
    try:
        site.start_everything()
        measure(site)
    finally:
        site.close()
        site.remove()


if __name__ == "__main__":
    main()
