#!/usr/bin/env python3
"""What a policy would change in a big fleet: how long the answer takes, what the server needs for
it, and whether others wait for theirs meanwhile.

    bench_plan.py [ENVIRONMENTS PACKAGES]      10,000 of 400 unless told
"""

import pathlib
import sys
import threading
import time

import bench
import fleet_rows

sys.path.insert(0, str(bench.ROOT / "tests" / "integration"))
import harness  # noqa: E402

RULES = 100
PLAN_BUDGET_S = 10
OTHERS_BUDGET_S = 0.1


def policy(major):
    """One rule that changes something, among others as fleets have them."""
    rules = [f'  - {{id: old-openssl, when: {{package: "openssl <{major}"}}, action: block}}']
    for i in range(1, RULES):
        rules.append(f'  - {{id: rule-{i}, when: {{package: "package-{i * 37} <{i % 3}"}}, '
                     f'action: warn}}')
    return "policy: 1\nrules:\n" + "\n".join(rules) + "\n"


class Others:
    """Somebody who asks small questions all the time."""

    def __init__(self, site):
        self.site, self.ended, self.took = site, threading.Event(), []
        self.thread = threading.Thread(target=self._ask)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *failure):
        self.ended.set()
        self.thread.join()

    def _ask(self):
        while not self.ended.wait(0.02):
            begin = time.monotonic()
            self.site.api("/machines?limit=1")
            self.took.append(time.monotonic() - begin)


def measure(site, environments, each):
    status = pathlib.Path(f"/proc/{site.server.pid}/status")
    site.api("/policy", {"source": policy(2)})
    with Others(site) as alone:
        time.sleep(3)
    before = bench.status_field(status, "RssAnon") / 1024
    with Others(site) as busy:
        begin, cpu = time.monotonic(), bench.cpu_s(site.server.pid)
        told = site.api("/policy/plan", {"source": policy(3)})
        took, cpu = time.monotonic() - begin, bench.cpu_s(site.server.pid) - cpu
    if told["environments"] != environments or not 0 < told["changes"] < environments:
        raise RuntimeError(f"not the fleet that was made: {told['environments']}, {told['changes']}")
    bench.row(f"plan of a policy, {RULES} rules, {environments} x {each}", took, None, "s",
              f"<= {PLAN_BUDGET_S} s", took <= PLAN_BUDGET_S)
    bench.row("... the server's processor time", cpu, None, "s", "-", True)
    bench.row("... another request meanwhile, p99, against an idle server's",
              bench.percentile(busy.took, 0.99), bench.percentile(alone.took, 0.99), "s",
              f"<= {OTHERS_BUDGET_S} s", bench.percentile(busy.took, 0.99) <= OTHERS_BUDGET_S)
    bench.row("... the most memory the server had, against before",
              bench.status_field(status, "VmHWM") / 1024, before, "MB", "-", True)


def main():
    environments, each = [int(word) for word in sys.argv[1:3]] or (10000, 400)
    site = harness.Site()
    try:
        site.init_server()
        site.must(bench.BIN / "bench_fleet", "rows", site.server_state, 1000)
        fleet_rows.fill(site.server_state / "envwarden.db", environments, each)
        site.start_server()
        site.log_in()
        measure(site, environments, each)
    finally:
        site.close()
        site.remove()


if __name__ == "__main__":
    main()
