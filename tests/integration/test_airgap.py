"""Signed state by file: what `envwarden-admin machine export-bundle` writes, `envwarden import` takes
over where no server is reached; and what an agent refuses so, as it would over the wire.
"""

import json
import os
import struct
import subprocess
import threading
import time
import unittest

import harness

import conda_writer  # beside replay.py: harness says where

DAY_MS = 86400000
POLICY = """policy: 1
defaults: {{contact: "security@example.org", stale_after: {stale}}}
rules:
  - id: no-foo
    when: {{package: "libfoo"}}
    action: {action}
    message: "Not this one."
"""


def pieces(data):
    """[(role, Signed)] of a file."""
    found, at = [], 16
    while at < len(data):
        role_n, = struct.unpack_from(">I", data, at)
        role = data[at + 4:at + 4 + role_n].decode()
        at += 4 + role_n
        n, = struct.unpack_from(">I", data, at)
        found.append((role, data[at + 4:at + 4 + n]))
        at += 4 + n
    return found


def joined(parts):
    body = b"".join(struct.pack(">I", len(role)) + role.encode() + struct.pack(">I", len(data)) + data
                    for role, data in parts)
    return b"EWSTATE\x01" + struct.pack(">Q", 16 + len(body)) + body


class Airgap(harness.Case):
    def setUp(self):
        super().setUp()
        site = self.site
        self.prefix = site.envs / "a"
        conda_writer.Writer(site.home).create(self.prefix, ["libfoo-1.0-0"])
        site.start_everything()
        site.log_in_command()
        site.wait_server("the environment", lambda changes: len(changes) >= 1)
        self.host = site.api("/machines")["machines"][0]

    # --- both sides

    def apply(self, action="warn", stale="30d"):
        path = self.site.dir / "policy.yaml"
        path.write_text(POLICY.format(action=action, stale=stale))
        self.site.must("envwarden-admin", "policy", "apply", path, "--yes", "--no-wait")

    def status(self, action):
        env = self.site.api("/environments")["environments"][0]
        self.site.api(f"/environments/{env['id']}/status",
                      {"status": action} if action == "ok" else
                      {"status": action, "message": "no"}, "PUT")

    def export(self, name="state.ew", *words):
        path = self.site.dir / name
        self.site.must("envwarden-admin", "machine", "export-bundle", self.host["hostname"], "-o",
                       path, *words)
        return path

    def carry(self, data, name="carried"):
        path = self.site.dir / name
        path.write_bytes(data)
        return path

    def import_(self, path, *words, **options):
        return self.site.ew("import", path, *words, **options)

    def decision(self):
        result = self.site.ew("check", "--prefix", self.prefix, "--timeout-ms", "5000", "--json")
        self.assertIn(result.code, (0, 4), repr(result))
        return json.loads(result.out)["decision"]

    def cut_off(self):
        """The agent reaches no server from here on; the server goes on without it."""
        self.site.agent.stop()
        text = self.site.agent_config.read_text()
        self.site.configure(f"{text}server = 127.0.0.1:{harness.free_port()}\n")
        self.site.start_agent()

    def versions(self):
        status = self.site.status()
        return status["policy_version"], status["status_version"]

    def forge(self, role, content, version, machine=None, keys=None, expires=None):
        now = int(time.time() * 1000)
        words = [harness.BIN / "sign_bundle", role, content,
                 machine or self.host["id"].replace("-", ""), version, now,
                 now + DAY_MS if expires is None else expires]
        words += [self.site.server_state / f"role-{key}.key" for key in (keys or [role])]
        return subprocess.run([str(word) for word in words], capture_output=True, check=True,
                              env=self.site.env).stdout

    # --- the good way

    def test_by_file(self):
        site = self.site
        self.cut_off()
        self.apply("block")
        self.assertEqual(self.decision(), "allow")
        path = self.export()
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        told = self.assertRun(self.import_(path), 0, err=r"policy 1 and status \d+ are active, as of")
        self.assertRegex(told.err, "they count as fresh until 20")
        harness.wait_for("the block", lambda: self.decision() == "block")
        before = self.versions()
        # Twice is harmless; so is the other way to give it.
        again = self.import_(path, "--json").json()
        self.assertEqual(again["schema"], "envwarden.import/1")
        self.assertEqual((again["policy_version"], again["status_version"]), before)
        with path.open("rb") as stdin:
            subprocess.run([harness.BIN / "envwarden", "import", "-", "--socket", site.socket],
                           stdin=stdin, env=site.env, check=True, capture_output=True)
        # Durable.
        site.agent.kill()
        site.start_agent()
        self.assertEqual(self.versions(), before)
        harness.wait_for("the block", lambda: self.decision() == "block")
        # The next one, and then no way back to the one before.
        self.apply("warn")
        newer = self.export("newer.ew")
        self.assertRun(self.import_(newer), 0, err="policy 2 and")
        harness.wait_for("the warning", lambda: self.decision() == "warn")
        self.assertRun(self.import_(path), 1, err=r"timestamp: version \d+, held is \d+: older than what")
        self.assertEqual(self.decision(), "warn")
        self.assertEqual([], [line for line in site.status()["degraded"]
                              if line["what"] == "signed state refused"])
        # It reaches the server again, which finds it up to date.
        site.agent.stop()
        site.configure()
        site.start_agent()
        site.wait_connected()
        self.apply("block")
        harness.wait_for("the block", lambda: self.decision() == "block")

    def test_roots_come_along(self):
        """The root stepped twice since the agent was last heard of."""
        site = self.site
        self.cut_off()
        site.server.stop()
        for number in (2, 3):
            key, draft = site.dir / f"status-{number}.key", site.dir / f"draft-{number}"
            shown = site.must("envwarden-server", "root", "show", "--state-dir",
                              site.server_state).out
            old = shown.split("status: 1 of 1\n  ")[1][:64]
            site.must("envwarden-server", "root", "new-key", "--out", key)
            site.must("envwarden-server", "root", "draft", "--state-dir", site.server_state, "--out",
                      draft, "--remove-key", f"status={old}", "--add-key", f"status={key}.pub")
            site.must("envwarden-server", "root", "sign", "--in", draft, "--key",
                      site.server_state / "role-root.key", "--out", f"{draft}.signed")
            site.must("envwarden-server", "root", "publish", "--state-dir", site.server_state,
                      "--in", f"{draft}.signed", "--key", f"status={key}")
        site.start_server()
        site.log_in()
        self.status("block")
        path = self.export()
        parts = pieces(path.read_bytes())
        self.assertEqual([role for role, _ in parts], ["root"] * 3 + ["status", "timestamp"])
        gap = self.carry(joined(parts[:1] + parts[2:]))
        self.assertRun(self.import_(gap), 1, err="root")
        self.assertEqual(self.decision(), "allow")
        # Nobody signs the file: an old root behind the new ones must not become the one that is kept.
        shuffled = self.carry(joined(parts[:3] + parts[:1] + parts[3:]))
        self.assertRun(self.import_(shuffled), 0, err="without a policy")
        harness.wait_for("the block", lambda: self.decision() == "block")
        held = self.versions()
        site.agent.kill()
        site.start_agent()
        self.assertEqual(self.versions(), held)
        self.assertRun(self.import_(path), 0, err="without a policy")
        harness.wait_for("the block", lambda: self.decision() == "block")

    def test_valid_for_longer(self):
        """An explicit choice, bounded by stale_after."""
        admin = ("envwarden-admin", "machine", "export-bundle", self.host["id"], "-o",
                 self.site.dir / "long.ew", "--valid")
        self.apply("warn", "10d")
        self.assertRun(self.site.run(*admin, "11d"), 1, err="10 days at most")
        self.assertRun(self.site.run(*admin, "10d"), 0,
                       err=r"To be imported there until \S+:\n  sudo envwarden import /")
        self.assertRun(self.site.run(*admin, "soon"), 2, err="--valid")
        self.assertRun(self.import_(self.site.dir / "long.ew"), 0)
        entry = self.site.api("/audit?limit=1")["entries"][0]
        self.assertEqual(entry["what"], "machine.export")
        self.assertEqual(entry["target"], f"machine:{self.host['id']}")

    def test_mistakes(self):
        site = self.site
        self.assertRun(site.run("envwarden-admin", "machine", "export-bundle", "no-such", "-o", "x"),
                       1, err='no active machine is called "no-such"')
        self.assertRun(site.run("envwarden-admin", "machine", "export-bundle", "x"), 2, err="where to")
        self.assertRun(site.ew("import"), 2, err="which file")
        self.assertRun(self.import_(site.dir / "absent"), 1, err="cannot open")
        self.assertRun(self.import_(self.carry(b"")), 1, err="is empty")
        self.assertRun(self.import_(site.dir), 1)
        lonely = self.new_site()
        lonely.start_agent()
        self.assertRun(lonely.ew("import", self.export()), 1, err="not enrolled")

    def test_no_plain_files(self):
        """What is no file of ours is bounded, whatever it is; a pipe is as good as a file."""
        site = self.site
        path = self.export()
        huge = site.dir / "huge"
        with huge.open("wb") as file:
            file.truncate(20 << 30)
        for source, why in (("/dev/zero", "larger than"), ("/dev/null", "is empty"),
                            (huge, "larger than"), (site.socket, "cannot open")):
            self.assertRun(self.import_(source), 1, err=why)
        for data, code, why in ((path.read_bytes(), 0, "active"),
                                (path.read_bytes()[:-9], 1, "cut off"), (b"", 1, "is empty")):
            pipe = site.dir / "pipe"
            os.mkfifo(pipe)
            writer = threading.Thread(target=pipe.write_bytes, args=(data,))
            writer.start()
            self.assertRun(self.import_(pipe), code, err=why)
            writer.join()
            pipe.unlink()

    def test_without_an_agent(self):
        path = self.export()
        self.site.agent.stop()
        self.assertRun(self.import_(path), 3)
        self.assertRun(self.import_(self.site.dir / "absent"), 1)  # that comes first

    @unittest.skipIf(os.geteuid() != 0, "needs another account")
    def test_not_permitted(self):
        """The machine's agent takes signed state from root alone."""
        site = self.site
        path = self.export()
        path.chmod(0o644)
        site.dir.chmod(0o755)
        site.agent.stop()
        site.agent.words.remove("--user")
        site.start_agent()
        before = self.versions()
        told = subprocess.run([harness.BIN / "envwarden", "import", path, "--socket", site.socket],
                              user="nobody", group="nogroup", extra_groups=[], cwd="/",
                              env={**site.env, "HOME": "/"}, capture_output=True, text=True,
                              check=False)
        self.assertEqual((told.returncode, told.stderr),
                         (7, "envwarden: only root may import signed state: use sudo\n"))
        self.assertEqual(self.versions(), before)
        self.assertRun(self.import_(path), 1, err="export it anew")  # root may, were it not old

    # --- attacks

    def refused(self, data, why):
        self.assertRun(self.import_(self.carry(data)), 1, err=why)
        self.assertEqual(self.versions(), self.held)
        self.assertEqual(self.decision(), "block")

    def test_attacks(self):
        site = self.site
        self.apply("block")
        self.status("block")
        harness.wait_for("both", lambda: self.site.status()["policy_version"] == 1 and
                         self.decision() == "block")
        old = self.export("old.ew").read_bytes()
        self.status("ok")
        self.apply("block")
        harness.wait_for("the second policy", lambda: self.site.status()["policy_version"] == 2)
        self.cut_off()
        new = self.export("new.ew").read_bytes()
        self.assertRun(self.import_(self.carry(new)), 0)
        self.held = self.versions()
        was, now = dict(pieces(old)), dict(pieces(new))
        version = self.held[1]
        self.status("ok")
        latest = self.export("latest.ew").read_bytes()
        last = dict(pieces(latest))

        def put(**changed):
            return joined([(role, changed.get(role, data)) for role, data in pieces(latest)
                           if changed.get(role, data)])

        attacks = {
            "rollback": (old, "held is"),
            "status_of_another_timestamp": (put(status=was["status"]),
                                            "status: is not the one the timestamp names"),
            "timestamp_of_another_set": (put(timestamp=was["timestamp"]), "timestamp: version"),
            "set_without_its_status": (put(status=None), "names one that is not there"),
            "forged_status": (put(status=self.forge("status", "status", version + 9)),
                              "status: is not the one"),
            "forged_timestamp": (put(timestamp=self.forge("timestamp", "timestamp", 999,
                                                          keys=["status"])),
                                 "timestamp: 0 good signatures"),
            "expired_timestamp": (put(timestamp=self.forge("timestamp", "timestamp", 999,
                                                           expires=1)), "is expired"),
            "anothers_timestamp": (put(timestamp=self.forge("timestamp", "timestamp", 999,
                                                            machine="ab" * 16)),
                                   "another machine's"),
            "timestamp_truncated": (put(timestamp=last["timestamp"][:-1]), "timestamp|Signed"),
            "garbage": (os.urandom(4096), "no air-gap file"),
            "later_version": (b"EWSTATE\x02" + latest[8:], "newer version"),
            "bytes_behind": (latest + b"x", "behind its end"),
            "timestamp_twice": (joined(pieces(latest) + [("timestamp", last["timestamp"])]),
                                "behind its timestamp"),
            "policy_twice": (joined([("policy", last["policy"])] + pieces(latest)), "root behind"),
            "no_timestamp": (joined(pieces(latest)[:-1]), "has no timestamp"),
            "zeros": (bytes(64 << 20), "no air-gap file"),
            "too_large": (bytes((64 << 20) + 1), "larger than"),
        }
        for attack, (data, why) in attacks.items():
            with self.subTest(attack):
                self.refused(data, why)
        for at in sorted({0, 7, 8, 15, 16, 20, len(latest) - 1} |
                         set(range(1, len(latest), len(latest) // 23))):
            with self.subTest(truncated=at):
                self.refused(latest[:at], "cut off|no air-gap|is empty|newer version")
        # Another machine of the organisation.
        other = self.new_site()
        other.start_agent()
        code = other.dir / "join"
        code.write_text(site.join_code("--uses", "1", "--expires", "1d") + "\n")
        self.assertRun(other.ew("enroll", "--join-file", code, "--yes"), 0)
        other.wait_connected()
        self.assertRun(other.ew("import", self.carry(latest)), 1, err="another machine's")
        # After all this, the good one.
        self.assertRun(self.import_(self.carry(latest)), 0)

    def test_freeze(self):
        """A file kept back for longer than it is valid."""
        site = self.site
        path = self.export()
        site.agent.stop()
        site.agent.env["LD_PRELOAD"] = str(harness.BIN / "clock_ahead.so")
        site.server.stop()
        site.server.env["LD_PRELOAD"] = str(harness.BIN / "clock_ahead.so")
        site.server.env["AHEAD_S"] = str(2 * 86400)
        for program in (site.server, site.agent):
            program.env["ASAN_OPTIONS"] = ":".join(filter(None, (
                site.env.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))
        site.agent.env.pop("LD_PRELOAD")
        # The agent learns from its server that two days have gone by.
        site.start_server()
        site.start_agent()
        site.wait_connected()
        self.assertRun(self.import_(path), 1, err="timestamp: version|is expired")

    def test_two_at_once(self):
        path = self.export()
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.import_(path)))
                   for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertIn(0, [result.code for result in results])
        for result in results:
            self.assertRun(result, result.code, err="active" if result.code == 0 else
                           "another file is being imported")

    def test_killed(self):
        """The command goes in the middle of it, the agent at any time: the set before, or the new."""
        site = self.site
        self.cut_off()
        self.status("block")
        path = self.export()
        # A command that is killed after the first bytes leaves room for the next.
        big = self.carry(bytes(48 << 20), "big")
        for delay in (0.0, 0.02, 0.1):
            command = subprocess.Popen([harness.BIN / "envwarden", "import", big, "--socket",
                                        site.socket], env=site.env, stderr=subprocess.DEVNULL)
            time.sleep(delay)
            command.kill()
            command.wait()
        harness.wait_for("room again",
                         lambda: "being imported" not in self.import_(self.carry(b"EWSTATE")).err)
        for delay in (0.0, 0.005, 0.02, 0.05, 0.1):
            command = subprocess.Popen([harness.BIN / "envwarden", "import", path, "--socket",
                                        site.socket], env=site.env, stderr=subprocess.DEVNULL)
            time.sleep(delay)
            site.agent.kill()
            command.wait()
            site.start_agent()
            self.assertIn(self.decision(), ("allow", "block"))
        self.assertRun(self.import_(path), 0)
        harness.wait_for("the block", lambda: self.decision() == "block")


if __name__ == "__main__":
    harness.main()
