"""Recordings of real conda runs, replayed: the exact changes at the agent and at the server."""


import harness
import replay
from replay import SCENARIOS

FOO = ("foo-1.0-0", "libfoo-1.0-0")


def change(kind, env, added=(), removed=(), tool="conda", command="", **more):
    """A change as expected. command: words that must be in it, "" = none is known."""
    return {"kind": kind, "env": env, "added": sorted(added), "removed": sorted(removed),
            "tool": tool, "command": command, **more}


# What each recording must add to the journal, after what it needs was there.
EXPECTED = {
    "create": [change("created", "t2", FOO, command="create -y -n t2 foo")],
    "install": [change("installed", "t2", ["openssl-1.1.1w-h_0"],
                       command="install -y -n t2 openssl=1.1.1w")],
    "update": [change("updated", "t2", ["openssl-3.0.14-h_0"], ["openssl-1.1.1w-h_0"],
                      command="update -y -n t2 openssl")],
    "remove": [change("removed", "t2", (), ["openssl-3.0.14-h_0"],
                      command="remove -y -n t2 openssl")],
    "rename": [change("renamed", "t3", command="rename -n t2 t3", from_env="t2")],
    "removeall": [change("deleted", "t3", (), FOO, command="remove -y -n t3 --all")],
    "createempty": [change("created", "t4", command="create -y -n t4")],
    "rollback": [],
    "pipinstall": [change("installed", "py1", ["pypi:demo-pkg-1.2.3"], tool="pip")],
    "listdel": [change("removed", "py2", (), ["fakepy-1.0-py_0"], tool="")],
    "vars": [change("config", "r2", tool="", detail="state")],
}


def dist(package):
    """name-version-build, with the manager in front if it is not conda."""
    if package["manager"] == "conda":
        return f"{package['name']}-{package['version']}-{package['build']}"
    return f"{package['manager']}:{package['name']}-{package['version']}"


def plain(found, expected, at_once):
    """A change of a program in the words of change()."""
    def name(prefix):
        return prefix.rpartition("/")[2]

    result = {"kind": found["kind"], "env": name(found["environment"]["prefix"]),
              "added": sorted(map(dist, found["added"])),
              "removed": sorted(map(dist, found["removed"])),
              "tool": found.get("tool", ""), "command": found.get("command", "")}
    if expected.get("command") and expected["command"] in result["command"]:
        result["command"] = expected["command"]
    if found["kind"] == "deleted" and "tool" not in found and at_once:
        # Over before the agent could open the history: what it told went with it.
        result.update(tool=expected.get("tool"), command=expected.get("command"))
    if "from_env" in expected:
        result["from_env"] = name(found.get("from_prefix", ""))
    if "detail" in expected:
        result["detail"] = found.get("detail", "")
    return result


class Replay(harness.Case):
    def replay_all(self, pace_ms):
        site = self.site
        self.at_once = pace_ms == 0
        site.start_everything()
        replayer = replay.Replayer(site.envs, site.home, pace_ms)
        expected = []
        for name in SCENARIOS:
            if replayer.prepare(name):
                needs = SCENARIOS[name].needs
                env = SCENARIOS[name].env
                expected.append(change("created", env, needs, command=f"create -y -n {env}"))
                self.expect(expected)
            with self.subTest(recording=name):
                replayer.replay(name)
                expected += EXPECTED[name]
                self.expect(expected)
        self.identities(site.agent_changes())
        self.same_at_server()

    def expect(self, expected):
        """The journal is this, and stays this when everything is read again."""
        site = self.site
        site.wait_agent(f"change {len(expected)}", lambda found: len(found) >= len(expected))
        site.record("--all")
        found = site.agent_changes()
        padded = expected + [{}] * (len(found) - len(expected))
        self.assertEqual([plain(f, e, self.at_once) for f, e in zip(found, padded)], expected)
        self.assertEqual([f["seq"] for f in found], list(range(1, len(found) + 1)))

    def identities(self, changes):
        """An environment keeps its id when it is renamed; others have their own."""
        ids = {}
        for found in changes:
            env = found["environment"]["prefix"].rpartition("/")[2]
            ids.setdefault(env, set()).add(found["environment"]["id"])
        self.assertEqual({len(x) for x in ids.values()}, {1}, ids)
        self.assertEqual(ids["t2"], ids["t3"])
        self.assertEqual(len(set().union(*ids.values())), len(ids) - 1)

    def same_at_server(self):
        """The server has each of them once, with every member the agent tells."""
        site = self.site
        at_agent = site.agent_changes()
        at_server = site.wait_server("as many changes", lambda found: len(found) >= len(at_agent)
                                     and found)
        told = [{key: found.get(key) for key in ours} for ours, found in zip(at_agent, at_server)]
        self.assertEqual(told, at_agent)
        self.assertEqual(len(at_server), len(at_agent))

    def test_at_once(self):
        self.replay_all(0)

    def test_at_the_pace_of_conda(self):
        self.replay_all(8)

    def test_slowly(self):
        """As if big packages were linked: a run lasts many settle times."""
        self.replay_all(60)


if __name__ == "__main__":
    harness.main()
