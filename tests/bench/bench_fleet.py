#!/usr/bin/env python3
"""What reaches a connected fleet, and when: statuses, a policy, and the fleet itself after an outage.

    bench_fleet.py [N ...]      machines; 1,000 and 10,000 unless told

The server and the agents share the processors, so that a part of every figure is the agents' own
work: the server's is told beside it. The agents are bench_fleet.c's.
"""

import subprocess
import sys
import time

import bench
import fleet_rows

sys.path.insert(0, str(bench.ROOT / "tests" / "integration"))
import harness  # noqa: E402

POLICY = """policy: 1
rules:
  - id: old-openssl
    when: {{package: "openssl <{major}"}}
    action: block
"""
PUSH_BUDGET_S = 3
STORM_BUDGET_S = 10


class Fleet:
    """Agents in a process of their own."""

    def __init__(self, site, count):
        self.site, self.count = site, count
        site.must(bench.BIN / "bench_fleet", "rows", site.server_state, count)
        # The first machine's.
        self.environment = fleet_rows.fill(site.server_state / "envwarden.db", 1, 40)[0]
        site.start_server()
        self.process = subprocess.Popen(
            [bench.BIN / "bench_fleet", "run", site.server_state, str(site.agent_port), str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.wait("ready")

    def say(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def wait(self, what):
        """When it says so, by the clock of time.monotonic()."""
        line = self.process.stdout.readline().split()
        if line[:1] != [what]:
            raise RuntimeError(f"not {what}: {line}")
        return float(line[1])

    def server_cpu_s(self):
        return bench.cpu_s(self.site.server.pid)

    def connect(self):
        cpu = self.server_cpu_s()
        self.say("connect")
        begin = self.wait("begin")
        return self.wait("welcomed") - begin, self.server_cpu_s() - cpu

    def push(self, count, action):
        """How long until `count` agents were told, and until they have reported what they got."""
        self.say(f"arm {count}")
        self.wait("armed")
        cpu, begin = self.server_cpu_s(), time.monotonic()
        action()
        pushed = self.wait("pushed") - begin
        return pushed, self.wait("whole") - begin, self.server_cpu_s() - cpu

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def show(what, seconds, cpu, count, budget=None):
    limit = f"<= {budget} s" if budget and count == 10000 else "-"
    bench.row(what, seconds, None, "s", limit, limit == "-" or seconds <= budget)
    if cpu is not None:
        bench.row("... the server's processor time for each", cpu / count * 1e6, None, "us", "-", True)


def apply(site, major):
    policy = site.dir / "policy.yaml"
    policy.write_text(POLICY.format(major=major))
    site.must("envwarden-admin", "policy", "apply", policy, "--yes", "--no-wait")


def block(site, environment):
    site.api(f"/environments/{environment}/status", {"status": "block", "message": "No."}, "PUT")


def measure(count):
    site = harness.Site()
    try:
        site.init_server()
        fleet = Fleet(site, count)
        site.log_in()
        site.log_in_command()
        fleet.connect()  # the first time each gets its status bundle
        time.sleep(count / 1000)
        storm, cpu = fleet.connect()
        show(f"storm of {count}, resumed: until the last is welcomed", storm, cpu, count,
             STORM_BUDGET_S)
        pushed, whole, cpu = fleet.push(count, lambda: site.logging("on"))
        show(f"status push to {count}: until the last is told", pushed, None, count, PUSH_BUDGET_S)
        show("... until the last has it and has said so", whole, cpu, count)
        pushed, whole, _ = fleet.push(1, lambda: block(site, fleet.environment))
        show(f"status push to one of {count} connected: until it is told", pushed, None, count)
        show("... until it has it and has said so", whole, None, count)
        pushed, whole, cpu = fleet.push(count, lambda: apply(site, 3))
        show(f"policy push to {count}: until the last is told", pushed, None, count, PUSH_BUDGET_S)
        show("... until the last has it and has said so", whole, cpu, count)
        fleet.end()
    except RuntimeError:
        site.print_logs()
        raise
    finally:
        site.close()
        site.remove()


def main():
    for count in [int(word) for word in sys.argv[1:]] or [1000, 10000]:
        measure(count)


if __name__ == "__main__":
    main()
