"""What a member asks about the past, and about the agent: diff, export, history, sent, doctor."""

import json
import os
import shutil
import signal
import subprocess

import harness

import conda_writer  # beside replay.py: harness says where

FOO, ZSTD, XZ = "libfoo-1.0-0", "zstd-1.5.6-hb46c0d2_0", "xz-5.2.6-h8d14728_0"


class Past(harness.Case):
    def names(self, packages):
        return sorted(package["name"] for package in packages)

    def test_an_environment_from_beginning_to_end(self):
        site = self.site
        writer = conda_writer.Writer(site.home)
        prefix = site.envs / "old"
        writer.create(prefix, [FOO, XZ])
        site.start_agent()
        site.record(prefix)
        writer.change(prefix, [XZ], [ZSTD], "install zstd")
        site.record(prefix)
        first, second = site.agent_changes()
        diff = site.ew("diff", prefix, "--from", first["seq"], "--json").json()
        self.assertEqual((["zstd"], ["xz"]),
                         (self.names(diff["added"]), self.names(diff["removed"])))
        self.assertIn("nothing differs", site.ew("diff", prefix, "--from", second["seq"]).err)
        back = site.ew("diff", prefix, "--from", second["time"], "--to", first["time"],
                       "--json").json()
        self.assertEqual((["xz"], ["zstd"]),
                         (self.names(back["added"]), self.names(back["removed"])))

        explicit = site.ew("export", prefix, "--format", "explicit", "--at", "1").out
        self.assertIn("\n@EXPLICIT\nfile:///", explicit)
        self.assertIn("/xz-5.2.6-h8d14728_0.", explicit)
        self.assertNotIn("zstd", explicit)
        self.assertIn("- zstd=1.5.6=hb46c0d2_0" if "::" not in (
            yaml := site.ew("export", prefix, "--format", "yaml").out)
            else "::zstd=1.5.6=hb46c0d2_0", yaml)
        early = site.ew("export", prefix, "--format", "yaml", "--at", "30d")
        self.assertEqual(1, early.code)
        self.assertIn("the history kept here begins at", early.err)

        # Gone, it answers by its last path.
        writer.remove_all(prefix)
        harness.wait_for("its end", lambda: site.agent_changes()[-1]["kind"] == "deleted")
        self.assertEqual(["created", "updated", "deleted"],
                         [change["kind"] for change in
                          site.ew("history", prefix, "--json").json()["changes"]])
        self.assertEqual(["libfoo", "zstd"], self.names(
            site.ew("export", prefix, "--json", "--at", "2").json()["packages"]))
        self.assertRun(site.ew("export", prefix, "--format", "yaml"), 1, err="say --at")

    def test_those_who_follow_go_on_when_the_agent_is_back(self):
        site = self.site
        writer = conda_writer.Writer(site.home)
        site.start_agent()
        follower = subprocess.Popen(
            [harness.BIN / "envwarden", "history", "--follow", "--json", "--socket", site.socket],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=site.env)
        for i in range(3):
            writer.create(site.envs / f"e{i}", [FOO])
        changes = [json.loads(follower.stdout.readline()) for _ in range(3)]
        self.assertEqual(["created"] * 3, [change["kind"] for change in changes])
        # The core is killed, then the whole agent stopped and its store emptied: it goes on.
        os.kill(site.worker("core"), signal.SIGKILL)
        self.assertIn("waiting for it", follower.stderr.readline())
        writer.create(site.envs / "e3", [FOO])
        change = json.loads(follower.stdout.readline())
        self.assertEqual(("created", str(site.envs / "e3")),
                         (change["kind"], change["environment"]["prefix"]))
        site.agent.stop()
        self.assertIn("waiting for it", follower.stderr.readline())
        shutil.rmtree(site.agent_state / "store")
        site.start_agent()
        self.assertEqual("gap", json.loads(follower.stdout.readline())["kind"])
        self.assertIn("new epoch", follower.stderr.readline())
        again = [json.loads(follower.stdout.readline()) for _ in range(4)]
        self.assertEqual({str(site.envs / f"e{i}") for i in range(4)},
                         {change["environment"]["prefix"] for change in again})
        follower.terminate()
        rest, said = follower.communicate(timeout=harness.PATIENCE_S)
        self.assertEqual(("", ""), (rest, said))

    def test_everything_that_left_is_shown(self):
        site = self.site
        conda_writer.Writer(site.home).create(site.envs / "a", [FOO])
        site.start_everything()
        site.wait_server("it", lambda changes: changes)
        harness.wait_for("the ack", lambda: (s := site.status()) and
                         s["journal"]["acked"] == s["journal"]["head"] > 0)
        messages = site.ew("sent", "--json").json()["messages"]
        self.assertEqual(sorted(m["number"] for m in messages), [m["number"] for m in messages])
        content = {m["kind"]: m["content"][m["kind"]] for m in messages}
        self.assertIn("hostname", content["hello"]["info"])
        self.assertEqual(str(site.envs / "a"), content["changes"]["changes"][0]["prefix"])
        self.assertEqual("libfoo", content["packages"]["packages"][0]["name"])
        self.assertTrue(all(m["bytes"] > 0 for m in messages))
        # Numbers go on, and a token is never shown.
        site.agent.stop()
        site.start_agent()
        site.wait_connected()
        later = site.ew("sent", "--json", "--last", "1").json()["messages"]
        self.assertGreater(later[0]["number"], messages[-1]["number"])
        hello = [m for m in site.ew("sent", "--json").json()["messages"]
                 if m["kind"] == "hello"][-1]
        self.assertEqual("(not shown)", hello["content"]["hello"]["continuity"])

    def test_one_of_several_is_busy(self):
        site = self.site
        writer = conda_writer.Writer(site.home)
        kept, torn = site.envs / "kept", site.envs / "torn"
        for prefix in (kept, torn):
            writer.create(prefix, [FOO, XZ])
        site.start_agent()
        all_well = site.ew("record", "--all")  # at once: it waits for what the first scan told
        self.assertRun(all_well, 0)
        *each, last = all_well.out.splitlines()
        self.assertEqual([f"recorded {kept}", f"recorded {torn}"], sorted(each))
        self.assertEqual("recorded 2", last)
        (torn / "conda-meta" / (XZ + ".json.c~")).write_text("{}")
        some = site.ew("record", "--all")
        self.assertRun(some, 1, err="left held copies")
        self.assertIn(f"recorded {kept}\n", some.out)
        self.assertIn(f"not recorded {torn}: it is being changed", some.out)
        self.assertIn(str(torn), some.err)

    def test_a_name_of_several(self):
        """conda finds neither, so the agent does not choose; a check is left as conda has it."""
        site = self.site
        writer = conda_writer.Writer(site.home)
        both = [site.envs / "twin", site.home / "other" / "envs" / "twin"]
        for prefix in both:
            writer.create(prefix, [FOO])
        site.start_agent()
        site.wait_agent("both", lambda changes: len(changes) >= 2)
        for words in (["show"], ["history"], ["diff", "--from", "1"], ["record"], ["defer"],
                      ["export", "--format", "yaml"]):
            result = site.ew(words[0], "twin", *words[1:])
            self.assertRun(result, 2, err="give the path of one")
            for prefix in both:
                self.assertIn(str(prefix), result.err)
        self.assertRun(site.ew("check", "twin"), 0)
        self.assertRun(site.ew("show", both[1]), 0, out=str(both[1]))
        # Where conda would find one, that one is meant.
        self.assertRun(site.ew("show", "twin", CONDA_ENVS_DIRS=str(site.envs)), 0, out=str(both[0]))
        shutil.rmtree(both[0])
        site.wait_agent("its end", lambda changes: changes[-1]["kind"] == "deleted")
        self.assertRun(site.ew("show", "twin"), 0, out=str(both[1]))

    def test_what_is_asked_of_an_agent_that_has_just_started(self):
        site = self.site
        writer = conda_writer.Writer(site.home)
        writer.create(site.envs / "a", [FOO])
        site.start_agent()
        for _ in range(3):
            os.kill(harness.wait_for("a reader", lambda: site.worker("reader")), signal.SIGKILL)
            self.assertRun(site.ew("record", site.envs / "a"), 0, out="recorded 1")
        writer.create(site.envs / "b", [FOO])
        os.kill(harness.wait_for("a reader", lambda: site.worker("reader")), signal.SIGKILL)
        self.assertRun(site.ew("record", "--all"), 0, out="recorded 2")
        self.assertRun(site.ew("diff", site.envs / "a", "--from", "9999"), 1,
                       err="there is no change 9999")

    def test_the_doctor(self):
        site = self.site
        site.start_everything()
        harness.wait_for("all well", lambda: site.ew("doctor").code == 0)
        site.server.stop()
        harness.wait_for("the server missed", lambda: site.ew("doctor").code == 5)
        self.assertIn("not connected", site.ew("doctor").out)
        site.agent.stop()
        ill = site.ew("doctor")
        self.assertEqual(3, ill.code)
        self.assertIn("decisions of", ill.out)


if __name__ == "__main__":
    harness.main()
