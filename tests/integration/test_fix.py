"""`envwarden fix` with the real programs and stand-ins for the tools it runs."""

import json
import os
import shlex
import shutil
import stat
import sys
import threading
import unittest

import harness
import terminal

from conda_writer import Writer, dist_info  # harness says where

SOON_S = 20
OLD, NEW = "openssl-1.1.1w-h_0", "openssl-3.0.14-h_0"
PYTHON, PIP = "python-3.11.9-h_0", "pip-24.0-0"
RULES = """policy: 1
defaults: {contact: "security@example.org"}
rules:
  - {id: old-openssl, when: {package: "openssl <3"}, action: block, message: "No more fixes."FIX}
  - {id: old-demo, when: {package: "demo <2"}, action: block}
"""

# What a stand-in does: it tells its words, and changes the environment as the tool would.
TOOL = """#!{python}
import json, os, pathlib, re, shutil, sys
sys.path[:0] = {path!r}
from conda_writer import Writer, dist_info
words, site = sys.argv[1:], pathlib.Path({site!r})
with open(site / "told", "a") as told:
    told.write(json.dumps([{tool!r}, sys.argv[0], words, os.environ.get("CONDA_ALWAYS_YES", "")]) + "\\n")
print("a stand-in of {tool} works")
if (site / "fails").exists():
    sys.exit(7)
prefix = None
for option in ("-p", "--prefix", "--python"):
    if option in words:
        prefix = pathlib.Path(words[words.index(option) + 1])
if "--manifest-path" in words:
    prefix = pathlib.Path(words[words.index("--manifest-path") + 1]) / ".pixi/envs/default"
if {tool!r} == "python":
    prefix = pathlib.Path(sys.argv[0]).parent.parent
if (site / "removes").exists():
    shutil.rmtree(prefix)
elif any(word.startswith("demo") for word in words):
    folder = prefix / "lib/python3.11/site-packages"
    for file in (folder / "demo-1.0.dist-info").iterdir():
        file.unlink()
    (folder / "demo-1.0.dist-info").rmdir()
else:
    Writer({home!r}).change(prefix, [{old!r}], [{new!r}], "install -p x openssl")
"""


class Fix(harness.Case):
    def setUp(self):
        super().setUp()
        self.site.start_everything()
        self.site.log_in_command()
        self.conda = Writer(self.site.home)
        self.base = self.site.home / "a base's"
        self.told = self.site.dir / "told"

    def tool(self, path, tool):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TOOL.format(python=sys.executable, path=[p for p in sys.path if p], tool=tool,
                                    site=str(self.site.dir), home=str(self.site.home), old=OLD,
                                    new=NEW))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def make(self, prefix, *dists):
        self.conda.create(prefix, dists or [OLD])
        harness.wait_for(f"a reading of {prefix}", lambda: self.site.ew(
            "record", "--prefix", prefix).code == 0, SOON_S)
        return prefix

    def govern(self, prefix, fix=""):
        file = self.site.dir / "policy.yaml"
        file.write_text(RULES.replace("FIX", f", fix: {json.dumps(fix)}" if fix else ""))
        self.assertRun(self.site.admin("policy", "apply", file, "--yes"), 0)
        harness.wait_for("the block", lambda: self.check(prefix).code == 4, SOON_S)

    def check(self, prefix):
        return self.site.ew("check", "--prefix", prefix, "--timeout-ms", "5000")

    def fix(self, prefix, *words, **env):
        return self.site.ew("fix", "--prefix", prefix, *words, PATH=f"{self.site.dir}/bin:/usr/bin:/bin",
                            **env)

    def calls(self):
        return [json.loads(line) for line in self.told.read_text().splitlines()]

    def assertFixed(self, prefix, *words):
        """Runs it; the only call is told."""
        result = self.fix(prefix, "--yes", *words)
        self.assertRun(result, 0, "may be activated")
        self.assertEqual(result.out, "")
        self.assertRun(self.check(prefix), 0)
        calls = self.calls()
        self.assertEqual(len(calls), 1, calls)
        return calls[0]

    def test_conda_by_the_base_that_owns_it(self):
        conda = self.tool(self.base / "bin" / "conda", "conda")
        self.tool(self.site.dir / "bin" / "conda", "another")
        prefix = self.make(self.base / "envs" / "it's \"odd\"\n; rm -rf $(id) `id`")
        self.govern(prefix)
        dry = self.fix(prefix, "--dry-run")
        self.assertRun(dry, 0, out="conda install -p ")
        self.assertFalse(self.told.exists())
        self.assertRun(self.check(prefix), 4)
        # The block's own words tell the same thing to paste.
        told = json.loads(self.site.ew("check", "--json", "--prefix", prefix).out)["reasons"][0]["fix"]
        self.assertEqual(shlex.split(told)[:2], ["conda", "install"])
        self.assertRun(self.fix(prefix), 2, "no terminal to ask on: say --yes")
        self.assertFalse(self.told.exists())
        self.assertEqual(self.assertFixed(prefix), [
            "conda", str(conda), ["install", "-p", str(prefix), "openssl>=3"], "true"])
        again = self.fix(prefix, "--yes")
        self.assertRun(again, 0, "nothing to fix")

    def test_the_administrators_own_fix(self):
        conda = self.tool(self.base / "bin" / "conda", "conda")
        prefix = self.make(self.base / "envs" / "old")
        self.govern(prefix, '{tool} update {target} "openssl>=3"')
        # By path, whatever else has that name; and with the command that takes versions.
        self.assertEqual(self.assertFixed(prefix), [
            "conda", str(conda), ["install", "-p", str(prefix), "openssl>=3"], "true"])

    def test_what_is_refused(self):
        self.tool(self.base / "bin" / "conda", "conda")
        prefix = self.make(self.base / "envs" / "old")
        for fix, why in (("conda install {target} openssl>=3", "a shell would act on '>'"),
                         ("conda install {target} x; touch /tmp/x", "a shell would act on ';'"),
                         ("conda install {target} $(id)", r"act on '\$'"),
                         ("sudo conda install {target} x", 'begins with "sudo"'),
                         ("/bin/sh -c x", 'begins with "/bin/sh"'),
                         ("conda run {target} sh -c x", "not pip or uv"),
                         ("conda install -n other x", "another environment"),
                         ("conda config --set x y", "does not change")):
            self.govern(prefix, fix)
            result = harness.wait_for(f"the fix {fix}", lambda fix=fix, why=why: self.told_why(prefix, why),
                                      SOON_S)
            self.assertRun(result, 4, why)
            self.assertRegex(result.err, r"Ask security@example.org, case EW-")
        self.assertFalse(self.told.exists())

    def told_why(self, prefix, why):
        import re
        result = self.fix(prefix, "--yes")
        return result if re.search(why, result.err) else None

    def test_a_tool_that_fails_stops_it(self):
        self.tool(self.base / "bin" / "conda", "conda")
        prefix = self.make(self.base / "envs" / "old")
        self.govern(prefix)
        (self.site.dir / "fails").touch()
        self.assertRun(self.fix(prefix, "--yes"), 1, "failed with status 7(.|\n)*BLOCKED still")
        self.assertRun(self.check(prefix), 4)
        (self.base / "bin" / "conda").unlink()
        if not os.path.exists("/usr/bin/conda"):
            self.assertRun(self.fix(prefix, "--yes"), 1, "conda is not found on this machine")

    def test_a_tool_that_takes_it_away(self):
        """The agent answers, only that there is nothing to read: it is not "not reachable" (3)."""
        self.tool(self.base / "bin" / "conda", "conda")
        prefix = self.make(self.base / "envs" / "old")
        self.govern(prefix)
        (self.site.dir / "removes").touch()
        self.assertRun(self.fix(prefix, "--yes"), 1, "there is no environment there")

    # --- at a terminal

    def at_terminal(self, prefix, keys, meanwhile=lambda: None):
        """What it shows and its exit status, with these keys typed when it has asked."""
        shown = terminal.Terminal(
            [str(harness.BIN / "envwarden"), "fix", "--socket", str(self.site.socket), "--prefix",
             str(prefix)], {**self.site.env, "PATH": f"{self.site.dir}/bin:/usr/bin:/bin"},
            self.site.home, harness.COMMAND_S)
        try:
            while "Run this? [Y/n]" not in shown.text:
                self.assertTrue(shown.read(), shown.text)
            meanwhile()
            os.write(shown.master, keys)
            return shown.text, shown.finish()
        finally:
            shown.close()

    def test_asked_at_a_terminal(self):
        conda = self.tool(self.base / "bin" / "conda", "conda")
        prefix = self.make(self.base / "envs" / "old")
        self.govern(prefix)
        for what, keys, status in (("no", b"n\n", 4), ("No", b"No\n", 4), ("the end", b"\x04", 4),
                                   ("ctrl-C", b"\x03", None), ("nonsense", b"maybe\n\x04", 4)):
            with self.subTest(what):
                text, code = self.at_terminal(prefix, keys)
                if status is None:
                    self.assertNotEqual(code, 0, text)
                else:
                    self.assertEqual(code, status, text)
                self.assertFalse(self.told.exists(), text)
                self.assertRun(self.check(prefix), 4)
        text, code = self.at_terminal(prefix, b"\n")  # what is in capitals
        self.assertEqual(code, 0, text)
        # The tool asks for itself: nobody has said yes to it.
        self.assertEqual(self.calls(), [
            ["conda", str(conda), ["install", "-p", str(prefix), "openssl>=3"], ""]])
        self.assertRun(self.check(prefix), 0)

    def test_gone_while_it_asks(self):
        self.tool(self.base / "bin" / "conda", "conda")
        prefix = self.make(self.base / "envs" / "old")
        self.govern(prefix)
        (self.site.dir / "fails").touch()
        text, code = self.at_terminal(prefix, b"y\n", lambda: shutil.rmtree(prefix))
        self.assertEqual(code, 1, text)
        self.assertFalse(prefix.exists())

    def test_two_at_once(self):
        """Both end, and say how it is."""
        self.tool(self.base / "bin" / "conda", "conda")
        prefix = self.make(self.base / "envs" / "old")
        self.govern(prefix)
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.fix(prefix, "--yes")))
                   for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(results), 2)
        self.assertIn(0, [result.code for result in results], results)
        for result in results:  # the stand-in of one may find nothing to replace any more
            self.assertIn(result.code, (0, 1), result)
        self.assertRun(self.check(prefix), 0)

    def test_nothing_moves_the_cursor(self):
        """Names and words with escapes, at a terminal and in the page that is shown."""
        self.tool(self.base / "bin" / "conda", "conda")
        prefix = self.make(self.base / "envs" / "e\x1b[2Jvil\u202e")
        self.govern(prefix, "conda install {target} 'openssl>=3'")
        for result in (self.fix(prefix, "--dry-run"), self.fix(prefix, "--yes")):
            self.assertRun(result, 0)
            for text in (result.out, result.err):
                self.assertNotIn("\x1b", text)
                self.assertNotIn("\u202e", text)

    @unittest.skipIf(os.geteuid() != 0, "needs another account")
    def test_root_and_somebody_elses(self):
        """Root runs nothing that lies in a member's environment; the tool is not even begun."""
        self.tool(self.base / "bin" / "conda", "conda")
        prefix = self.base / "envs" / "theirs"
        self.conda.create(prefix, [OLD])
        for path in (prefix, *prefix.rglob("*")):
            shutil.chown(path, "nobody", "nogroup")
        harness.wait_for("a reading", lambda: self.site.ew("record", "--prefix", prefix).code == 0,
                         SOON_S)
        self.govern(prefix)
        self.assertRun(self.fix(prefix, "--yes"), 7, "belongs to nobody: run this as that account")
        self.assertRun(self.fix(prefix, "--dry-run"), 0)
        self.assertFalse(self.told.exists())

    def test_pip_by_the_environments_interpreter(self):
        prefix = self.base / "envs" / "it's"
        self.make(prefix, NEW, PYTHON, PIP)
        self.add_demo(prefix)
        python = self.tool(prefix / "bin" / "python", "python")
        self.govern(prefix)
        self.assertEqual(self.assertFixed(prefix)[:3], [
            "python", str(python), ["-m", "pip", "install", "demo>=2"]])

    def test_uv_where_there_is_no_pip(self):
        uv = self.tool(self.site.dir / "bin" / "uv", "uv")
        prefix = self.make(self.base / "envs" / "u v", NEW, PYTHON)
        self.add_demo(prefix)
        self.govern(prefix)
        self.assertEqual(self.assertFixed(prefix)[:3], [
            "uv", str(uv), ["pip", "install", "--python", str(prefix), "demo>=2"]])

    def test_pip_in_conda_run_needs_no_activation(self):
        prefix = self.make(self.base / "envs" / "x", OLD, PYTHON, PIP)
        self.tool(self.base / "bin" / "conda", "conda")
        python = self.tool(prefix / "bin" / "python", "python")
        self.govern(prefix, "conda run {target} --no-capture-output pip install openssl")
        self.fix(prefix, "--yes")
        self.assertEqual(self.calls(), [["python", str(python), ["-m", "pip", "install", "openssl"], "true"]])

    def add_demo(self, prefix):
        folder = prefix / "lib/python3.11/site-packages/demo-1.0.dist-info"
        folder.mkdir(parents=True)
        for name, text in dist_info("demo", "1.0").items():
            (folder / name).write_text(text)
        harness.wait_for("demo", lambda: "demo" in self.site.ew(
            "show", "--json", "--prefix", prefix).out, SOON_S)

    def test_mamba_and_micromamba(self):
        for tool, command in (("mamba", "mamba"), ("micromamba", "micromamba")):
            folder = self.site.home / tool
            program = self.tool(folder / "bin" / tool, tool)
            prefix = folder / "envs" / "old"
            self.make(prefix)
            history = prefix / "conda-meta" / "history"
            history.write_text(f"==> 2026-11-22 17:17:42 <==\n# cmd: {program} create -p {prefix}\n"
                               f"# conda version: 3.8.0\n+c/linux-64::{OLD}\n")
            harness.wait_for("the tool", lambda p=prefix, t=tool: f'"tool":"{t}"' in self.site.ew(
                "show", "--json", "--prefix", p).out.replace(" ", ""), SOON_S)
            self.govern(prefix)
            call = self.assertFixed(prefix)
            self.assertEqual(call[:3], [tool, str(program), ["install", "-p", str(prefix), "openssl>=3"]])
            self.told.unlink()

    def test_pixi_by_its_workspace(self):
        pixi = self.tool(self.site.dir / "bin" / "pixi", "pixi")
        workspace = self.site.home / "a work's space"
        prefix = workspace / ".pixi" / "envs" / "default"
        self.conda.create(prefix, [OLD])
        (prefix / "conda-meta" / "pixi").write_text(json.dumps({"manifest_path": str(workspace / "pixi.toml"),
                                                               "environment_name": "default"}))
        (prefix / "conda-meta" / "history").write_text("// not relevant for pixi\n")
        harness.wait_for("a reading", lambda: self.site.ew(
            "record", "--prefix", prefix).code == 0, 60)
        self.govern(prefix)
        self.assertEqual(self.assertFixed(prefix)[:3], [
            "pixi", str(pixi), ["add", "--manifest-path", str(workspace), "openssl>=3"]])

    def test_without_the_agent(self):
        prefix = self.make(self.base / "envs" / "old")
        fine = self.make(self.base / "envs" / "fine", NEW)
        self.govern(prefix)
        harness.wait_for("the fallback file", lambda: b"old" in (
            self.site.socket.parent / "agent.sock.fallback").read_bytes(), SOON_S)
        self.site.agent.stop()
        self.assertRun(self.fix(prefix, "--yes"), 4, r"BLOCKED(.|\n)*No more fixes(.|\n)*security@")
        self.assertRun(self.fix(fine, "--yes"), 3)

    def test_json(self):
        self.tool(self.base / "bin" / "conda", "conda")
        prefix = self.make(self.base / "envs" / "old")
        self.govern(prefix)
        dry = self.fix(prefix, "--dry-run", "--json").json()
        self.assertEqual((dry["schema"], dry["decision"], dry["ran"]), ("envwarden.fix/1", "block", False))
        self.assertEqual(dry["steps"][0]["tool"], "conda")
        self.assertEqual(shlex.split(dry["steps"][0]["command"])[0:2], ["conda", "install"])
        done = json.loads(self.fix(prefix, "--yes", "--json").out)
        self.assertEqual((done["decision"], done["ran"], done["failed"]), ("allow", True, False))


if __name__ == "__main__":
    harness.main()
