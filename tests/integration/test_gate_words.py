"""How the line in a base reads conda's arguments: as conda does, and nothing else."""

import os
import sys
import types
import unittest

import harness

PIECES = harness.ROOT / "packaging" / "hooks" / "base"


def load():
    text = (PIECES / "_envwarden_gate.py").read_text().replace("@ENVWARDEN@", '"/e"')
    module = types.ModuleType("_envwarden_gate")
    exec(compile(text, "_envwarden_gate.py", "exec"), module.__dict__)
    return module


class Words(unittest.TestCase):
    def setUp(self):
        self.gate = load()
        self.gate.default_environment = lambda: "base"

    def target(self, words, conda=True):
        try:
            return self.gate.find_target(conda, words)
        except (self.gate.NotOurs, StopIteration, IndexError):
            return None

    def test_activate(self):
        here, home = os.getcwd(), os.path.expanduser("~")
        for words, expected in (
                ("activate a", "--name=a"), ("activate", "--name=base"),
                ("activate --stack a", "--name=a"), ("activate a --dev", "--name=a"),
                ("activate --no-stack", "--name=base"), ("activate activate", "--name=base"),
                ("activate ./a", f"--prefix={here}/a"), ("activate ~/a", f"--prefix={home}/a"),
                ("activate a/../b", f"--prefix={here}/b"), ("activate -x", "--name=-x"),
                ("activate a b", None), ("activate --stack --no-stack a", None),
                ("activate a --help", None), ("activate -h", None), ("deactivate", None),
                ("reactivate", None), ("hook", None), ("commands", None), ("", None)):
            got = self.target(["shell.posix", *words.split()], conda=False)
            self.assertEqual(got, expected and [expected], words)

    def test_run(self):
        here = os.getcwd()
        os.environ.pop("CONDA_PREFIX", None)
        for words, expected in (
                ("run -n a x", "--name=a"), ("run -na x", "--name=a"), ("run --name a x", "--name=a"),
                ("run --name=a x", "--name=a"), ("run --nam a x", "--name=a"),
                ("run -p a x", f"--prefix={here}/a"), ("run --pre=/a x", "--prefix=/a"),
                ("run -sn a x", "--name=a"), ("run -vvna x", "--name=a"),
                ("run --cwd n -n a x", "--name=a"), ("run --cwd=n x -n a", "--name=base"),
                ("run x -n a", "--name=base"), ("run -v -- -n a", "--name=base"),
                ("-v --no-plugins run -n a x", "--name=a"), ("run", "--name=base"),
                ("run --help", None), ("run -n", None), ("install run", None), ("-v", None)):
            self.assertEqual(self.target(words.split()), expected and [expected], words)
        os.environ["CONDA_PREFIX"] = "/active"
        self.assertEqual(self.target(["run", "x"]), ["--prefix=/active"])
        self.assertIsNone(self.target(["run", "-n", "a", "x"], conda=False))

    def test_what_python_was_started_with(self):
        for words, expected in (
                ("-m conda run x", ("conda", "run x")), ("-Im conda run", ("conda", "run")),
                ("-mconda run", ("conda", "run")), ("-W m -X dev -m conda a", ("conda", "a")),
                ("/b/bin/conda run", ("/b/bin/conda", "run")), ("-E x.py -m conda", ("x.py", "-m conda")),
                ("-c conda run", ("conda", "run"))):
            program, rest = self.gate.skip_interpreter(words.split())
            self.assertEqual((program, " ".join(rest)), expected, words)

    def test_which_starts_load_it(self):
        """The line of the .pth itself."""
        line = (PIECES / "envwarden.pth").read_text()
        self.assertEqual(line.count("\n"), 1)
        self.assertTrue(line.startswith("import "))
        loaded = []
        fake = types.SimpleNamespace(start=lambda: loaded.append(1))
        saved = sys.argv
        sys.modules["_envwarden_gate"] = fake
        try:
            for argv, expected in (
                    (["conda", "shell.bash", "activate"], 1), (["-m", "shell.x", "activate", "a"], 1),
                    (["conda", "run"], 1), (["conda", "-v", "run", "x"], 1), (None, 1),
                    (["x.py", "activate"], 1),  # and goes on, as it is not ours
                    (["conda", "shell.bash", "hook"], 0), (["conda", "shell.bash"], 0),
                    (["x.py", "deactivate"], 0), ([""], 0), ([], 0), (["-c", "runs"], 0)):
                loaded.clear()
                if argv is None:
                    del sys.argv
                else:
                    sys.argv = argv
                exec(line, {})
                self.assertEqual(len(loaded), expected, argv)
        finally:
            sys.argv = saved
            del sys.modules["_envwarden_gate"]

    def test_old_pythons_can_read_it(self):
        import ast
        for name in ("_envwarden_gate.py", "envwarden_conda.py"):
            text = (PIECES / name).read_text().replace("@ENVWARDEN@", '"/e"')
            ast.parse(text, feature_version=(3, 6))

    def test_the_entry_of_start_files(self):
        import pkgutil
        entry = (PIECES / "envwarden.start").read_text().splitlines()[-1]
        sys.modules["_envwarden_gate"] = self.gate
        self.addCleanup(sys.modules.pop, "_envwarden_gate")
        self.assertIs(pkgutil.resolve_name(entry), self.gate.start)

    def test_one_start_asks_once(self):
        """site reads .pth files twice in some Pythons; a shell would wait twice for a hung agent."""
        asked = []
        self.gate.command_line = lambda: (True, ["shell.x", "activate", "a"])
        self.gate.ask = lambda words: asked.append(words[-1])
        self.gate.start()
        self.gate.start()
        self.assertEqual(asked, ["--name=a"])

    def test_trouble_is_nobodys(self):
        """Whatever happens on the way, Python goes on to start."""
        def fail(*_):
            raise RuntimeError
        for part in ("command_line", "find_target", "ask"):
            gate = load()
            gate.command_line = lambda: (True, ["shell.x", "activate", "a"])
            setattr(gate, part, fail)
            gate.start()


if __name__ == "__main__":
    unittest.main(verbosity=1)
