"""Prefixes the agent may not read: their owner's command reads and reports them, and nobody else.

The agent runs as an unprivileged service account and the members have accounts of their own, so
this needs root, setpriv, and a mount namespace of its own for the service's folder in /run.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

import harness

SERVICE, ANA, BOB, CAROL = 61001, 61002, 61003, 61004  # numbers only: no such accounts exist
TEAM = 61010
RUN = pathlib.Path("/run/envwarden")
FLOOD = harness.ROOT / "tests" / "support" / "socket_flood.py"
FORGE = harness.ROOT / "tests" / "support" / "report_client.py"
NOT_PERMITTED, INVALID, LIMIT, PROTOCOL, BUSY = -50007, -50002, -50003, -50022, -50011
IN_NAMESPACE = "EW_SELFREPORT_NAMESPACE"


def as_account(uid, groups=()):
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}",
            f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups"]


class Site(harness.Site):
    """The machine's agent as its own account, and members' homes it may not look into."""

    def __init__(self):
        super().__init__()
        self.dir.chmod(0o755)
        if RUN.exists():
            shutil.rmtree(RUN)
        RUN.mkdir()
        self.socket = RUN / "agent.sock"
        self.agent_state.mkdir()
        for folder in (RUN, self.agent_state):
            os.chown(folder, SERVICE, SERVICE)
        self.agent_config.write_text("running = off\nsettle_ms = 60\n")
        self.agent.words = as_account(SERVICE) + [
            harness.BIN / "envwardend", "--foreground", "--config", self.agent_config,
            "--state-dir", self.agent_state, "--socket", self.socket]
        self.homes = {uid: self.make_home(uid) for uid in (ANA, BOB, CAROL)}

    def make_home(self, uid):
        home = self.dir / f"home-{uid}"
        home.mkdir(mode=0o700)
        os.chown(home, uid, uid)
        return home

    def as_member(self, uid, *words, groups=(), **env):
        return self.run("/usr/bin/env", "--", *as_account(uid, groups), *words,
                        HOME=str(self.homes[uid]), **env)

    def member(self, uid, command, *words, **options):
        return self.as_member(uid, harness.BIN / "envwarden", command, "--socket", self.socket,
                              *words, **options)

    def forge(self, uid, prefix, proof, *words, groups=()):
        return self.as_member(uid, sys.executable, "-B", FORGE, self.socket, prefix, proof,
                              *words, groups=groups).out.strip()


def put(prefix, package, version="1.0", uid=ANA):
    """A record and its line in history, as conda leaves them; made by root for the member."""
    meta = prefix / "conda-meta"
    meta.mkdir(parents=True, exist_ok=True)
    (meta / f"{package}-{version}-0.json").write_text(json.dumps(
        {"name": package, "version": version, "build": "0", "build_number": 0,
         "channel": "conda-forge", "subdir": "linux-64"}))
    with open(meta / "history", "a", encoding="utf-8") as history:
        history.write(f"==> 2026-11-22 18:48:09 <==\n# cmd: conda install {package}\n"
                      f"# conda version: 26.7.1\n+conda-forge/linux-64::{package}-{version}-0\n")
    for path in (prefix, meta, *meta.iterdir()):
        os.chown(path, uid, -1)


class SelfReport(harness.Case):
    def new_site(self):
        site = Site()
        self.sites.append(site)
        return site

    def setUp(self):
        super().setUp()
        self.envs = self.site.homes[ANA] / "envs"
        self.envs.mkdir()
        os.chown(self.envs, ANA, ANA)
        self.work = self.envs / "work"

    # --- what members see

    def environments(self, uid):
        return self.site.member(uid, "list", "--json").json()["environments"]

    def changes(self, uid):
        return self.site.member(uid, "history", "--json").json()["changes"]

    def packages(self, uid, prefix):
        shown = self.site.member(uid, "show", "--prefix", prefix, "--json").json()
        return sorted(p["name"] for p in shown["packages"])

    def record(self, uid, prefix):
        self.assertRun(self.site.member(uid, "record", "--prefix", prefix), 0)

    def status(self):
        return self.site.status()

    # --- the tests

    def test_what_its_owner_reports_is_known(self):
        self.site.start_agent()
        put(self.work, "foo")
        self.assertEqual(self.environments(ANA), [])
        self.assertRun(self.site.member(ANA, "record", "--prefix", self.work), 0)
        [known] = self.environments(ANA)
        self.assertEqual(known["prefix"], str(self.work))
        self.assertIs(known["self_reported"], True)
        self.assertRun(self.site.member(ANA, "list"), 0, out="self-reported")
        self.assertRun(self.site.member(ANA, "show", "--prefix", self.work), 0, out="known by")
        [change] = self.changes(ANA)
        self.assertEqual((change["kind"], change["self_reported"]), ("created", True))
        self.assertEqual(self.packages(ANA, self.work), ["foo"])
        self.assertEqual(self.status()["self_reported"], 1)
        self.assertEqual(self.status()["unreported"], 0)
        self.assertEqual(self.environments(BOB), [])
        # Again, and with all: nothing new, nothing twice.
        self.record(ANA, self.work)
        self.assertRun(self.site.member(ANA, "record", "--all"), 0)
        self.assertEqual(len(self.changes(ANA)), 1)
        # A new agent knows it from its store.
        self.site.agent.stop()
        self.site.start_agent()
        self.assertEqual(self.packages(ANA, self.work), ["foo"])
        self.assertEqual(self.status()["self_reported"], 1)

    def test_unreported_is_told(self):
        self.site.start_agent()
        put(self.work, "foo")
        # Bob asks for it, and can't read it either.
        self.assertRun(self.site.member(BOB, "check", "--prefix", self.work), 0)
        status = self.status()
        self.assertEqual((status["self_reported"], status["unreported"]), (0, 1))
        [trouble] = status["degraded"]
        self.assertEqual(trouble["what"], "unreadable")
        self.assertIn("envwarden record", trouble["do"])
        self.assertRun(self.site.member(BOB, "record", "--prefix", self.work), 7)
        self.record(ANA, self.work)
        status = self.status()
        self.assertEqual((status["self_reported"], status["unreported"]), (1, 0))
        self.assertEqual(status["degraded"], [])

    def test_changes_come_with_the_next_check(self):
        self.site.start_agent()
        put(self.work, "foo")
        self.assertRun(self.site.member(ANA, "check", "--prefix", self.work), 0)
        harness.wait_for("the first report", lambda: len(self.changes(ANA)) == 1)
        put(self.work, "bar")
        self.assertRun(self.site.member(ANA, "check", "--prefix", self.work), 0)
        harness.wait_for("the second", lambda: len(self.changes(ANA)) == 2)
        put(self.work, "baz")
        self.record(ANA, self.work)
        self.assertEqual([c["kind"] for c in self.changes(ANA)],
                         ["created", "installed", "installed"])
        self.assertEqual(self.packages(ANA, self.work), ["bar", "baz", "foo"])

    def test_own_reading_wins(self):
        self.site.start_agent()
        put(self.work, "foo")
        self.record(ANA, self.work)
        self.site.homes[ANA].chmod(0o755)
        put(self.work, "bar")
        self.record(ANA, self.work)
        [known] = self.environments(ANA)
        self.assertIs(known["self_reported"], False)
        self.assertEqual([c["self_reported"] for c in self.changes(ANA)], [True, False])
        # A report is not needed any more, and changes nothing.
        self.assertEqual(self.site.forge(ANA, self.work, self.work), "end")
        self.assertEqual(self.packages(ANA, self.work), ["bar", "foo"])
        self.site.homes[ANA].chmod(0o700)
        put(self.work, "baz")
        self.record(ANA, self.work)
        self.assertEqual([c["self_reported"] for c in self.changes(ANA)], [True, False, True])

    def test_forged_reports_are_refused(self):
        site = self.site
        site.start_agent()
        put(self.work, "foo")
        self.record(ANA, self.work)
        (site.homes[BOB] / "mine").mkdir()
        os.chown(site.homes[BOB] / "mine", BOB, BOB)
        mine = site.homes[BOB] / "mine"
        own = os.stat(self.work)

        def refused(code, uid, proof, *words):
            said = site.forge(uid, self.work, proof, *words)
            self.assertTrue(said.startswith(f"error {code} "), f"{uid} {proof} {words}: {said}")

        # Somebody else: with a directory of his own, with what he opened while he could.
        refused(NOT_PERMITTED, BOB, mine, f"inode={own.st_ino}", f"owner={ANA}")
        site.homes[ANA].chmod(0o711)
        self.envs.chmod(0o711)
        self.work.chmod(0o755)
        (self.work / "conda-meta").chmod(0o700)
        refused(NOT_PERMITTED, BOB, self.work)
        refused(INVALID, BOB, "path-only")
        self.assertEqual(site.forge(BOB, self.work, "none"), "closed")
        site.homes[ANA].chmod(0o700)
        # Its owner, about something else than what was proved.
        refused(NOT_PERMITTED, ANA, self.work, f"inode={own.st_ino + 1}")
        refused(NOT_PERMITTED, ANA, self.work, f"device={own.st_dev + 1}")
        refused(NOT_PERMITTED, ANA, self.work, f"owner={BOB}")
        refused(NOT_PERMITTED, ANA, self.work, f"prefix={mine}")
        refused(NOT_PERMITTED, ANA, self.envs)
        # Not whole, rubbish, too much, out of order, the same proof twice.
        refused(PROTOCOL, ANA, self.work, "end=7")
        refused(PROTOCOL, ANA, self.work, "chunk=9000000")
        refused(LIMIT, ANA, self.work, "packages=200000")
        self.assertEqual(site.forge(ANA, self.work, "none", "twice=1"), "closed")
        early = site.forge(ANA, self.work, self.work, "pieces=early")
        self.assertTrue(early == "closed" or early.startswith(f"error {PROTOCOL} "), early)
        self.assertEqual(self.packages(ANA, self.work), ["foo"])
        self.assertEqual(len(self.changes(ANA)), 1)
        # What she may say about her own is what she says, and it is marked.
        self.assertEqual(site.forge(ANA, self.work, self.work, f"renamed_from={mine}"), "end")
        self.assertEqual(self.packages(ANA, self.work), ["forged"])
        self.assertEqual([c["kind"] for c in self.changes(ANA)], ["created", "updated"])
        self.assertIs(self.changes(ANA)[1]["self_reported"], True)

    def test_others_prove_access(self):
        site = self.site
        site.start_agent()
        shared = site.dir / "shared"
        put(shared, "foo")
        os.chown(shared, ANA, TEAM)
        shared.chmod(0o750)
        self.record(ANA, shared)
        for command in (("show", "--json"), ("history", "--json"),
                        ("export", "--format", "explicit")):
            inside = site.member(CAROL, *command, str(shared), groups=(TEAM,))
            self.assertRun(inside, 0, out="foo")
            outside = site.member(BOB, *command, str(shared))
            self.assertRun(outside, 7, err="not permitted")
        # Who can open it may see it, and not say what is in it.
        self.assertRun(site.member(CAROL, "record", "--prefix", shared, groups=(TEAM,)), 7)
        said = site.forge(CAROL, shared, shared, groups=(TEAM,))
        self.assertTrue(said.startswith(f"error {NOT_PERMITTED} "), said)
        self.assertEqual(self.packages(ANA, shared), ["foo"])

    def by_bob(self, *words):
        """Bob's program, once it has said its first line."""
        program = subprocess.Popen([*as_account(BOB), sys.executable, "-B", FLOOD, *words],
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(program.stdout.close)
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        self.assertIn(program.stdout.readline().strip(), ("flooding", "serving"))
        return program

    def test_a_block_holds(self):
        self.block_work()
        site = self.site

        def check(*words, **env):
            return site.member(ANA, "check", *words, "--timeout-ms", "5000", **env)
        link = site.homes[ANA] / "link"
        link.symlink_to(self.work)
        self.assertRun(check("--prefix", link), 4, err="Not this one.")
        self.assertRun(check("work", CONDA_ENVS_DIRS=str(self.envs)), 4, err="Not this one.")
        self.assertRun(check("--prefix", self.envs), 0)

    def test_a_member_floods_the_socket(self):
        self.block_work()
        self.by_bob(self.site.socket)
        for _ in range(20):
            check = self.site.member(ANA, "check", "--prefix", self.work, "--json",
                                     "--timeout-ms", "5000")
            self.assertRun(check, 4)
            self.assertEqual(json.loads(check.out)["source"], "agent")
        self.assertTrue(self.status()["connected"])

    def test_a_member_forges_the_socket(self):
        self.block_work()
        forged = self.site.dir / "bob"
        forged.mkdir()
        os.chown(forged, BOB, BOB)
        bob = self.by_bob("--serve", forged / "agent.sock")
        for words in (("--socket", forged / "agent.sock"), ()):
            check = self.site.as_member(ANA, harness.BIN / "envwarden", "check", *words,
                                        "--prefix", self.work, "--timeout-ms", "5000",
                                        ENVWARDEN_SOCKET=str(forged / "agent.sock"))
            # The machine's own agent is asked, whatever else is.
            self.assertRun(check, 4, err="Not this one.")
        told = self.site.as_member(ANA, harness.BIN / "envwarden", "list", "--socket",
                                   forged / "agent.sock")
        self.assertRun(told, 1, err="not trusted")
        bob.kill()
        said = bob.stdout.read()
        self.assertNotIn(str(self.work), said)
        self.assertEqual(said.replace("heard b''\n", ""), "")

    def block_work(self):
        site = self.site
        site.start_everything()
        site.log_in_command()
        put(self.work, "foo")
        harness.wait_for("the reader, told of the organisation's switch", lambda: site.member(
            ANA, "record", "--prefix", self.work).code == 0)
        site.wait_server("the report", lambda found: len(found) == 1)
        [told] = site.server_changes()
        self.assertIs(told["self_reported"], True)
        self.assertRun(site.admin("env", "set-status", str(self.work), "block", "--message",
                                  "Not this one."), 0)
        harness.wait_for("the block", lambda: site.member(
            ANA, "check", "--prefix", self.work, "--timeout-ms", "5000").code == 4)


def in_namespace():
    """Again, with a /run that is nobody else's; says why not if that can't be."""
    if os.geteuid() != 0:
        return "needs root: agent and members have accounts of their own"
    if not all(map(shutil.which, ("setpriv", "unshare", "mount"))):
        return "needs setpriv, unshare and mount"
    if IN_NAMESPACE in os.environ:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        return None
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/run"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        return "needs mount namespaces"
    os.environ[IN_NAMESPACE] = "1"
    os.execvp("unshare", ["unshare", "--mount", sys.executable, "-B", *sys.argv])
    return None


if __name__ == "__main__":
    WHY_NOT = in_namespace()
    if WHY_NOT:
        print(f"skipped: {WHY_NOT}")
        sys.exit(77)
    harness.main()
