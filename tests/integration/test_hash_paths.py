"""hash_paths: paths reach the server as keyed hashes only, and stay readable on the machine."""

import re
import shutil

import harness

import conda_writer  # beside replay.py: harness says where

FOO, ZSTD, XZ = "libfoo-1.0-0", "zstd-1.5.6-hb46c0d2_0", "xz-5.2.6-h8d14728_0"
STAND_IN = re.compile(r"/hashed/[0-9a-f]{32}")


class HashPaths(harness.Case):
    def server_holds(self, text):
        """Whether the server's folder has this text anywhere, also in what is not checkpointed."""
        return [path.name for path in self.site.server_state.iterdir()
                if path.is_file() and text.encode() in path.read_bytes()]

    def synced(self):
        harness.wait_for("the ack", lambda: (s := self.site.status()) and s["connected"] and
                         s["journal"]["acked"] == s["journal"]["head"] > 0)

    def ids_of_hidden(self):
        return [env["id"] for env in self.site.api("/environments")["environments"]
                if STAND_IN.fullmatch(env["prefix"])]

    def recorded(self, prefix):
        """Logging switched on a moment ago, the reader may still be starting."""
        harness.wait_for(f"a record of {prefix}",
                         lambda: self.site.ew("record", prefix).code == 0)

    def test_nothing_of_the_path_leaves(self):
        site = self.site
        writer = conda_writer.Writer(site.home)
        secret, plain = site.envs / "project-whisper", site.home / "plain" / "shout"
        site.agent_config.write_text(f"hash_paths = {site.envs}/project-*\n")
        writer.create(secret, [FOO, XZ], f"create -y -n {secret.name} -p {secret} xz")
        writer.create(plain, [FOO])
        site.start_everything()
        self.recorded(secret)
        writer.change(secret, [XZ], [ZSTD], f"install --prefix={secret}/ zstd")
        self.recorded(secret)
        self.synced()
        changes = site.wait_server("all", lambda c: c if len(c) >= 3 else None)
        # The agent also finds what runs elsewhere on this machine; that is not the point here.
        prefixes = {p for change in changes if (p := change["environment"]["prefix"]).startswith(
            (str(site.dir), "/hashed/"))}
        self.assertEqual({str(plain)}, {p for p in prefixes if not STAND_IN.fullmatch(p)})
        self.assertEqual(2, len(prefixes))
        self.assertTrue(any("install --prefix=" in (text := c.get("command", "")) and
                            STAND_IN.search(text) for c in changes), changes)

        # The machine's own people see what they know.
        mine = site.ew("history", secret, "--json").json()["changes"]
        self.assertEqual({str(secret)}, {change["environment"]["prefix"] for change in mine})
        self.assertIn(f"install --prefix={secret}/ zstd", mine[-1]["command"])
        self.assertIn(str(secret), site.ew("show", secret, "--json").out)
        self.assertIn(str(secret), site.ew("list").out)
        self.assertNotIn("whisper", site.ew("sent", "--json").out)

        # What can't be read in it is told, and not by name.
        bad = secret / "conda-meta" / "whisper-1-0.json"
        bad.write_text("{")
        harness.wait_for("the note", lambda: [
            env["degraded"] for env in site.api("/environments")["environments"]
            if env["degraded"]] == [["files that can't be read; which, hash_paths keeps here"]])
        bad.unlink()

        # Renamed, then gone; and the store lost, which takes no identity away.
        before = self.ids_of_hidden()
        site.agent.stop()
        shutil.rmtree(site.agent_state / "store")
        site.start_agent()
        site.wait_connected()
        self.recorded(secret)
        self.synced()
        self.assertEqual(before, self.ids_of_hidden())
        writer.remove_all(secret)
        site.wait_server("its end", lambda c: any(x["kind"] == "deleted" for x in c))

        site.server.stop()
        self.assertEqual([], self.server_holds("whisper"))
        self.assertEqual(["envwarden.db"], self.server_holds("/plain/shout"))

    def test_switched_on_while_running(self):
        site = self.site
        writer = conda_writer.Writer(site.home)
        early, late = site.envs / "early", site.envs / "late"
        writer.create(early, [FOO])
        site.start_everything()
        self.recorded(early)
        self.synced()
        site.agent_config.write_text("hash_paths = on\n")
        site.agent.process.send_signal(1)
        harness.wait_for("the key", (site.agent_state / "path-key").exists)
        self.assertEqual(0o600, (site.agent_state / "path-key").stat().st_mode & 0o777)
        writer.create(late, [FOO])
        self.recorded(late)
        self.synced()
        told = [change["environment"]["prefix"] for change in site.server_changes()]
        self.assertIn(str(early), told)  # what was sent is not rewritten
        self.assertNotIn(str(late), told)
        self.assertTrue(any(STAND_IN.fullmatch(prefix) for prefix in told), told)


if __name__ == "__main__":
    harness.main()
