"""`envwarden check NAME` means the environment that conda, or mamba, would activate."""

import json

import harness
from test_discovery import Corpus

# What is where. A name with "!" is a folder that is no environment.
FOLDERS = {
    "work/base/envs": ["shared", "base-only", "twice"],
    "home/.conda/envs": ["shared", "own", "twice"],
    "home/lab": ["shared", "labelled", "broken!"],
    "home/group": ["broken", "labelled", "grouped"],
    "work/variable": ["shared", "varied"],
    "work/second": ["varied", "second"],
    "work/elsewhere": ["hidden"],
    "home/site": ["twice"],
}
LAB = "envs_dirs:\n  - ~/lab\n  - $HOME/group\n"

# (condarc files, variables, tool, typed, where it is meant; None = nowhere)
ROWS = [
    ({}, {}, "conda", "shared", "work/base/envs/shared"),
    ({}, {}, "conda", "own", "home/.conda/envs/own"),
    ({}, {}, "conda", "base", "work/base"),
    ({}, {}, "conda", "root", "work/base"),
    ({}, {}, "conda", "nowhere", None),
    ({}, {}, "micromamba", "twice", "work/base/envs/twice"),
    ({}, {}, "micromamba", "root", None),
    ({}, {}, "micromamba", "base", "work/base"),
    ({"home/.condarc": LAB}, {}, "conda", "shared", "home/lab/shared"),
    ({"home/.condarc": LAB}, {}, "conda", "labelled", "home/lab/labelled"),
    ({"home/.condarc": LAB}, {}, "conda", "grouped", "home/group/grouped"),
    ({"home/.condarc": LAB}, {}, "conda", "base-only", "work/base/envs/base-only"),
    # The first folder of that name is meant, though it is no environment, and so none is.
    ({"home/.condarc": LAB}, {}, "conda", "broken", None),
    ({"home/.condarc": "envs_dirs: [~/lab\n"}, {}, "conda", "shared", "work/base/envs/shared"),
    ({"home/.mambarc": LAB}, {}, "conda", "shared", "work/base/envs/shared"),
    ({"home/.mambarc": LAB}, {}, "mamba", "shared", "home/lab/shared"),
    ({"home/.conda/condarc.d/a.yml": "envs_dirs: [~/site]\n", "home/.condarc": LAB}, {}, "conda",
     "twice", "home/site/twice"),
    ({"home/.conda/condarc.d/a.yml": "envs_dirs: [~/group] #!final\n", "home/.condarc": LAB}, {},
     "conda", "labelled", "home/group/labelled"),
    ({"home/.condarc": "envs_path:\n  - ~/lab\n  - ~/group #!top\n"}, {}, "conda", "labelled",
     "home/group/labelled"),
    ({"home/.condarc": "envs_dirs:\n  - ~/lab #!bottom\n  - ~/group\n"}, {}, "conda", "labelled",
     "home/group/labelled"),
    ({"work/base/.condarc": LAB}, {}, "conda", "shared", "home/lab/shared"),
    ({"home/.condarc": LAB}, {"CONDA_ENVS_DIRS": "{work}/variable:{work}/second"}, "conda",
     "shared", "work/variable/shared"),
    ({}, {"CONDA_ENVS_DIRS": "{work}/variable:{work}/second"}, "conda", "varied",
     "work/variable/varied"),
    ({}, {"CONDA_ENVS_PATH": "{work}/second"}, "conda", "varied", "work/second/varied"),
    # mamba turns the variable's folders round.
    ({}, {"CONDA_ENVS_DIRS": "{work}/variable:{work}/second"}, "mamba", "varied",
     "work/second/varied"),
    ({"home/.condarc": "envs_dirs: [~/lab] #!final\n"}, {"CONDA_ENVS_DIRS": "{work}/variable"},
     "conda", "shared", "home/lab/shared"),
    ({"work/my.yml": "envs_dirs: [$HOME/site]\n"}, {"CONDARC": "{work}/my.yml"}, "conda", "twice",
     "home/site/twice"),
    ({"work/xdg/conda/condarc": LAB}, {"XDG_CONFIG_HOME": "{work}/xdg"}, "conda", "shared",
     "home/lab/shared"),
    ({"work/second/varied/.condarc": LAB}, {"CONDA_PREFIX": "{work}/second/varied"}, "conda",
     "shared", "home/lab/shared"),
    # Known to the agent, though no folder of conda's leads there.
    ({}, {}, "conda", "hidden", "work/elsewhere/hidden"),
    ({}, {}, "conda", "./lab/shared", "home/lab/shared"),
    ({}, {}, "conda", "lab/../group/grouped", "home/group/grouped"),
    ({}, {}, "conda", "~/lab/labelled", "home/lab/labelled"),
    ({}, {}, "conda", "{work}/second/second", "work/second/second"),
]


class Names(harness.Case):
    def setUp(self):
        super().setUp()
        self.corpus = Corpus(self.site.dir)
        for folder, names in FOLDERS.items():
            for name in names:
                path = self.site.dir / folder / name.rstrip("!")
                if name.endswith("!"):
                    path.mkdir(parents=True)
                else:
                    self.corpus.env("named", path)
        self.corpus.env("base", self.site.dir / "work" / "base")
        self.corpus.write(self.site.home / ".conda" / "environments.txt",
                          "".join(f"{path}\n" for path in self.corpus.real))
        self.site.start_agent()
        harness.wait_for("the environments", lambda: len(self.site.environments()) ==
                         len(self.corpus.real))

    def check(self, typed, tool, variables):
        work = self.site.dir / "work"
        filled = {name: text.format(work=work) for name, text in variables.items()}
        result = self.site.ew("check", "--json", "--timeout-ms", "10000", "--base", work / "base",
                              "--tool", tool, typed.format(work=work), **filled)
        self.assertIn(result.code, (0, 1), result)  # 1: there is none
        return json.loads(result.out)

    def expect(self, typed, tool, variables, where, what):
        answer = self.check(typed, tool, variables)
        got = None if "no such environment" in answer.get("notice", "") else answer["prefix"]
        wanted = None if where is None else str(self.site.dir / where)
        self.assertEqual(got, wanted, f"{what}: {answer}")

    def test_each_name(self):
        for files, variables, tool, typed, where in ROWS:
            written = [self.corpus.write(self.site.dir / path, text)
                       for path, text in files.items()]
            self.expect(typed, tool, variables, where, (files, variables, tool, typed))
            for path in written:
                path.unlink()

    def test_a_base_that_may_not_be_written_to(self):
        """conda looks into ~/.conda/envs first then. Root may write anywhere, but into nothing."""
        self.expect("twice", "conda", {}, "work/base/envs/twice", "writable")
        (self.site.dir / "work" / "base" / "conda-meta" / "history").unlink()
        self.expect("twice", "conda", {}, "home/.conda/envs/twice", "not writable")


if __name__ == "__main__":
    harness.main()
