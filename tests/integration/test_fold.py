"""A server that is away for long, and a journal that is full: what comes of it is the same."""

import harness

import conda_writer  # beside replay.py: harness says where

FOO, ZSTD, XZ = "libfoo-1.0-0", "zstd-1.5.6-hb46c0d2_0", "xz-5.2.6-h8d14728_0"
LONG = "--comment " + "x" * 3500  # so that not many changes fill the smallest journal there is
ENVS, ROUNDS = 12, 40


class Fold(harness.Case):
    def known_here(self, prefix):
        packages = self.site.ew("export", prefix, "--json").json()["packages"]
        return sorted((p["name"], p["version"]) for p in packages)

    def known_there(self, env):
        packages = self.site.api(f"/environments/{env['id']}/packages")["packages"]
        return sorted((p["name"], p["version"]) for p in packages)

    def listed_there(self):
        listed = self.site.api("/environments?limit=1000")["environments"]
        return {env["prefix"]: env for env in listed}

    def synced(self):
        harness.wait_for("the ack", lambda: (s := self.site.status()) and s["connected"] and
                         s["journal"]["acked"] == s["journal"]["head"] > 0)

    def head(self):
        return self.site.status()["journal"]["head"]

    def test_the_net_effect_is_what_the_agent_knows(self):
        site = self.site
        site.agent_config.write_text("journal_max_mb = 1\nsettle_ms = 50\n")
        writer = conda_writer.Writer(site.home)
        prefixes = [site.envs / f"env-{i:02}" for i in range(ENVS)]
        for prefix in prefixes:
            writer.create(prefix, [FOO, XZ])
        site.start_everything()
        harness.wait_for("all of them", lambda: {str(p) for p in prefixes} <= self.listed_there().keys())
        self.synced()
        site.server.stop()

        # One is made and lost while nobody listens, one only made, one only lost.
        began = self.head()
        short, late = site.envs / "short", site.envs / "late"
        writer.create(short, [FOO])
        writer.create(late, [FOO])
        harness.wait_for("both", lambda: self.head() >= began + 2)
        writer.remove_all(short)
        for i in range(ROUNDS):
            head = self.head()
            minus, plus = ([XZ], [ZSTD]) if i % 2 == 0 else ([ZSTD], [XZ])
            for prefix in prefixes:
                writer.change(prefix, minus, plus, f"install {LONG}")
            harness.wait_for("the round", lambda: self.head() >= head + ENVS)
        writer.change(prefixes[0], [XZ], [], "remove xz")
        writer.remove_all(prefixes[1])
        harness.wait_for("the end", lambda: "deleted" in [
            c["kind"] for c in site.ew("history", prefixes[1], "--json").json()["changes"]])
        # Killed once meanwhile, in whatever it does.
        site.agent.kill()
        site.start_agent()
        site.start_server()
        site.wait_connected()
        self.synced()

        changes = site.server_changes()
        folded = [change for change in changes if "folded" in change]
        self.assertTrue(folded)
        self.assertLess(len(changes), ENVS * ROUNDS)
        self.assertTrue(any(change["folded"]["changes"] > 1 for change in folded))
        there = self.listed_there()
        left = [prefix for prefix in [*prefixes, late] if prefix != prefixes[1]]
        self.assertEqual(sorted(map(str, left)), sorted(
            prefix for prefix in there if prefix.startswith(str(site.dir))))
        for prefix in left:
            self.assertEqual(self.known_here(prefix), self.known_there(there[str(prefix)]))
        # And it goes on from there.
        writer.change(late, [], [ZSTD], "install zstd")
        harness.wait_for("the next change", lambda: ("zstd", "1.5.6") in
                         self.known_there(there[str(late)]))


if __name__ == "__main__":
    harness.main()
