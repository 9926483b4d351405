"""Every kind of place where environments live, and everything that looks like one and is none.

A temporary machine with many users' homes, made by a generator; the real agent looks for itself, and
`envwarden list --all` must name each environment once and nothing else: recall and precision are
printed for each kind, and anything below 100 % fails. With namespaces the agent runs as root over
accounts of our own making; without, everything is beneath one home and configured roots.
"""

import collections
import json
import os
import pathlib
import shutil
import subprocess
import unittest

import harness

NAME = "zlib-1.2.13-h5eee18b_1"
RECORD = json.dumps({"name": "zlib", "version": "1.2.13", "build": "h5eee18b_1",
                     "build_number": 1, "channel": "https://conda.anaconda.org/conda-forge",
                     "subdir": "linux-64", "depends": [], "files": []})
USERS = 24


class Corpus:
    """The tree: `real` says of which kind each environment is, `decoys` of what is none."""

    def __init__(self, top):
        self.top = top
        self.real, self.decoys = {}, {}
        self.homes = []

    def meta(self, prefix, history=True, record=True):
        meta = pathlib.Path(prefix) / "conda-meta"
        meta.mkdir(parents=True, exist_ok=True)
        if history:
            (meta / "history").write_text("==> 2026-01-01 00:00:00 <==\n# cmd: conda create\n"
                                          f"+conda-forge/linux-64::{NAME}\n")
        if record:
            (meta / f"{NAME}.json").write_text(RECORD)
        return pathlib.Path(prefix)

    def env(self, kind, prefix, **options):
        prefix = self.meta(prefix, **options)
        self.real[str(prefix)] = kind
        return prefix

    def decoy(self, kind, prefix):
        self.decoys[str(prefix)] = kind
        return pathlib.Path(prefix)

    def write(self, path, text):
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    # --- what a home may have

    def home(self, home, n):
        self.homes.append(home)
        home.mkdir(parents=True, exist_ok=True)
        base = home / ("miniforge3", "miniconda3", "anaconda3", "mambaforge")[n % 4]
        self.env("base", base)
        self.meta(base, record=False)
        for i in range(3):
            self.env("base's envs", base / "envs" / f"env{i}")
        lines = []
        for i in range(3):
            lines.append(self.env("environments.txt", home / "work" / f"p{i}" / "env"))
        self.env("~/.conda/envs", home / ".conda" / "envs" / "own")
        gone = self.decoy("dead line", home / "was" / "here")
        self.write(home / ".conda" / "environments.txt",
                   "".join(f"{line}\n" for line in [*lines, gone, lines[0]]))
        self.condarcs(home, n)
        self.mambas(home, n)
        self.pixis(home, n)
        self.caches(home, base)
        self.odd(home)

    def condarcs(self, home, n):
        where = (".condarc", ".conda/.condarc", ".conda/condarc.d/10.yml",
                 ".config/conda/condarc", ".mambarc", ".mamba/mambarc")[n % 6]
        self.write(home / where,
                   f"channels: [conda-forge]\nenvs_dirs: #!final\n  - ~/named{n} # mine\n"
                   f"  - $HOME/by_variable #!top\n  - \"{home}/plain é\"\n")
        self.env("condarc ~", home / f"named{n}" / "a")
        self.env("condarc $HOME", home / "by_variable" / "b")
        self.env("condarc", home / "plain é" / "c")
        self.env("condarc of a base", home / "lab" / "d")
        self.env("condarc of the system", home / "system wide" / "e")

    def mambas(self, home, n):
        root = home / ("micromamba" if n % 2 else ".local/share/mamba")
        if n % 3 == 0:
            self.env("mamba root", root)
        self.env("mamba envs", root / "envs" / "m1")
        self.env("mamba envs", root / "envs" / "m2")

    def pixi_env(self, kind, prefix, manifest):
        self.env(kind, prefix)
        self.write(prefix / "conda-meta" / ".pixi-environment-fingerprint", "0123456789abcdef")
        self.write(prefix / "conda-meta" / "pixi", json.dumps(
            {"manifest_path": str(manifest), "environment_name": prefix.name}))

    def pixis(self, home, n):
        self.env("pixi global", home / ".pixi" / "envs" / "ripgrep")
        project = home / "code" / "project"
        # Known by one line; the rest of the project follows from it.
        first = project / ".pixi" / "envs" / "default"
        self.pixi_env("pixi workspace", first, project / "pixi.toml")
        self.pixi_env("pixi workspace", project / ".pixi" / "envs" / "test", project / "pixi.toml")
        self.pixi_env("pixi solve group", project / ".pixi" / "solve-group-envs" / "prod",
                      project / "pixi.toml")
        with open(home / ".conda" / "environments.txt", "a", encoding="utf-8") as listing:
            listing.write(f"{first}\n")
        config = (".pixi/config.toml", ".config/pixi/config.toml")[n % 2]
        self.write(home / config, 'default-channels = [\n  "conda-forge",\n]\n'
                                  f'detached-environments = "~/detached{n}"\n[shell]\nx = 1\n')
        hidden = home / "code" / "hidden"
        self.write(hidden / ".pixi" / "placeholder", "")
        self.pixi_env("pixi detached", home / f"detached{n}" / "hidden-12345" / "envs" / "default",
                      hidden / "pixi.toml")
        # Nothing leads to this one but the manifest named in the detached one.
        self.pixi_env("pixi by manifest", hidden / ".pixi" / "envs" / "old", hidden / "pixi.toml")
        self.env("pixi exec", home / ".cache" / "rattler" / "cache" / "cached-envs-v0" / "ab12")

    # --- what is none

    def caches(self, home, base):
        pkgs = base / "pkgs"
        self.write(pkgs / "urls.txt", "https://conda.anaconda.org/x\n")
        package = pkgs / NAME
        self.write(package / "info" / "index.json", "{}")
        self.write(package / "info" / "files", "")
        self.meta(self.decoy("info/test", package / "info" / "test" / "env"))
        self.meta(self.decoy("in a package", package))
        self.meta(self.decoy("in a cache", pkgs / "loose"))
        own = home / "my cache"
        self.write(own / "urls.txt", "")
        self.write(own / "urls", "")
        self.meta(self.decoy("in a cache elsewhere", own / "inside"))
        unpacked = home / "unpacked"
        self.write(unpacked / "info" / "index.json", "{}")
        self.write(unpacked / "info" / "paths.json", "{}")
        self.meta(self.decoy("unpacked package", unpacked))
        with open(home / ".conda" / "environments.txt", "a", encoding="utf-8") as listing:
            for path in (package / "info" / "test" / "env", package, pkgs / "loose",
                         own / "inside", unpacked):
                listing.write(f"{path}\n")

    def odd(self, home):
        envs = home / ".conda" / "envs"
        self.meta(self.decoy("empty conda-meta", envs / "half"), history=False, record=False)
        self.env("no history", envs / "lost", history=False)
        self.meta(self.decoy("trash", envs / "old.conda_trash"))
        self.meta(self.decoy("trash", envs / "old.conda_trash_3"))
        self.meta(self.decoy("trash", envs / "old.mamba_trash"))
        self.meta(self.decoy("trash", envs / "own" / ".trash" / "x"))
        self.write(self.decoy("conda-meta is a file", envs / "file") / "conda-meta", "")
        linked = self.decoy("conda-meta is a link", envs / "link")
        linked.mkdir(parents=True)
        (linked / "conda-meta").symlink_to("../own/conda-meta")
        self.decoy("plain folder", envs / "plain").mkdir()
        self.decoy("another name", envs / "alias").symlink_to("own")
        self.decoy("dangling link", envs / "dangling").symlink_to("nowhere")
        self.decoy("loop", envs / "loop").symlink_to("loop")
        self.decoy("its own parent", envs / "up").symlink_to("..")
        self.decoy("excluded", home / "scratch" / "x")
        self.meta(home / "scratch" / "x")
        with open(home / ".conda" / "environments.txt", "a", encoding="utf-8") as listing:
            listing.write(f"{envs / 'own' / '.trash' / 'x'}\n{home / 'scratch' / 'x'}\n"
                          f"{envs / 'alias'}\n{envs}/./own/../own\n")

    # --- what belongs to nobody

    def roots(self):
        root = self.top / "roots"
        for i in range(24):
            self.env("root", root / "1" / "2" / "3" / "4" / f"env{i}")
        self.env("root, one deep", root / "near")
        project = root / "a" / "b" / "c" / "d" / "e" / "f"
        self.env("pixi below a root", project / ".pixi" / "envs" / "default")
        self.env("linked from a root", self.top / "elsewhere" / "env")
        (root / "linked").symlink_to(self.top / "elsewhere" / "env")
        self.meta(self.decoy("too deep", root / "1/2/3/4/5/6/7/8/env"))
        self.meta(self.decoy("below node_modules", root / "node_modules" / "x"))
        (root / "1" / "2" / "around").symlink_to("..")
        self.meta(self.decoy("excluded by a pattern", root / "x" / "y" / "tmp-9" / "env"))
        self.env("running", self.top / "only" / "running")
        return root

    def paths(self):
        return {**{path: ("real", kind) for path, kind in self.real.items()},
                **{path: ("decoy", kind) for path, kind in self.decoys.items()}}


def namespaces():
    """How to be root over mounts of our own: a command to put in front, or None."""
    for words in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        if (words[1] == "--mount") == (os.geteuid() == 0) and shutil.which("unshare"):
            probe = "mount --bind /etc/hostname /etc/passwd"
            done = subprocess.run([*words, "sh", "-c", probe], capture_output=True, check=False)
            if done.returncode == 0:
                return words
    return None


class Discovery(harness.Case):
    def setUp(self):
        super().setUp()
        self.sleepers = []

    def tearDown(self):
        for process in self.sleepers:
            process.kill()
            process.wait()
        super().tearDown()

    def run_in(self, prefix):
        """A process that was started as the environment's interpreter."""
        binary = prefix / "bin" / "python3.11"
        binary.parent.mkdir()
        shutil.copy(shutil.which("sleep"), binary)
        self.sleepers.append(subprocess.Popen([binary, "600"]))

    def accounts(self, corpus):
        """The agent as root, over our own /etc/passwd, /etc/conda and one bind mount."""
        site, top = self.site, corpus.top
        uid = os.geteuid()
        listed = corpus.homes[:-3]  # the others are only beside them
        lines = [f"root:x:0:0::{top}/root:/bin/sh"]
        lines += [f"u{n}:x:{1000 + n}:{1000 + n}::{home}:/bin/sh" for n, home in enumerate(listed)]
        etc = top / "etc"
        for name in ("nsswitch.conf", "ld.so.cache", "localtime", "hostname", "machine-id"):
            if os.path.exists(f"/etc/{name}"):
                corpus.write(etc / name, "").write_bytes(pathlib.Path(f"/etc/{name}").read_bytes())
        corpus.write(etc / "passwd", "\n".join(lines) + "\n")
        corpus.write(etc / "conda" / "condarc.d" / "site.yml", "envs_dirs:\n  - '~/system wide'\n")
        bound = corpus.decoy("bind mount", top / "homes" / "bound")
        bound.mkdir(parents=True)
        source = corpus.homes[0] / ".conda" / "envs"
        steps = [f"mount --bind '{source}' '{bound}'", f"mount --bind '{etc}' /etc"]
        if uid == 0:
            for n, home in enumerate(corpus.homes):
                subprocess.run(["chown", "-R", "-h", f"{1000 + n}:{1000 + n}", home], check=True)
                os.chmod(home, 0o700)
            os.chmod(top, 0o755)
            os.chmod(site.dir, 0o755)
        words = [word for word in site.agent.words if word != "--user"]
        site.agent.words = [*self.unshare, "sh", "-c", " && ".join(steps) + ' && exec "$@"', "sh",
                            *map(str, words)]
        # Names that lead to a bound folder are the same environments.
        for child in source.iterdir():
            corpus.decoys.setdefault(str(bound / child.name), "bind mount")

    def one_home(self, corpus):
        """Without namespaces: other homes' folders are configured roots, nothing is the system's."""
        print("no namespaces here: accounts, the system's condarc and bind mounts are left out")
        for home in corpus.homes[1:]:
            for path in [p for p in corpus.real if p.startswith(f"{home}/")]:
                del corpus.real[path]
        for home in corpus.homes:
            corpus.real.pop(str(home / "system wide" / "e"), None)
        self.site.env["HOME"] = str(corpus.homes[0])

    def test_every_kind_and_nothing_else(self):
        site = self.site
        self.unshare = namespaces()
        corpus = Corpus(site.dir / "m")
        for n in range(USERS):
            corpus.home(corpus.top / "homes" / f"user{n:02}", n)
        # A shared base whose configuration names a folder in everybody's home.
        shared = corpus.homes[0] / "miniforge3"
        corpus.write(shared / ".condarc", "envs_dirs: ['~/lab']\n")
        root = corpus.roots()
        if self.unshare:
            self.accounts(corpus)
        else:
            self.one_home(corpus)
        self.run_in(corpus.top / "only" / "running")
        site.agent_config.write_text(
            f"roots = {root}\nexclude = {corpus.top}/homes/*/scratch, {root}/**/tmp-*\n")
        site.start_agent()
        wanted = len(corpus.real)
        seen = harness.wait_for("the environments", lambda: self.listed(corpus, wanted), 120)
        self.judge(corpus, seen)
        status = site.status()
        self.assertEqual([d for d in status["degraded"] if d["what"] == "discovery"], [])

    def listed(self, corpus, wanted):
        """The paths listed, once they have stopped to become more and the first scan is over."""
        def paths():
            return [e["prefix"] for e in self.site.environments("--all")]
        now = paths()
        if len(now) >= wanted:
            return now
        self.rounds = getattr(self, "rounds", 0)
        self.rounds = self.rounds + 1 if len(now) == getattr(self, "last", -1) else 0
        self.last = len(now)
        return now if self.rounds > 300 else None

    def judge(self, corpus, seen):
        """A line a kind; an environment seen by another of its names counts for itself."""
        by_inode = {}
        for path in corpus.real:
            info = os.stat(path)
            by_inode[info.st_dev, info.st_ino] = path
        found, wrong = collections.Counter(), []
        for path in seen:
            real = path if path in corpus.real else None
            if real is None and corpus.decoys.get(path) == "bind mount":
                real = str(corpus.homes[0] / ".conda" / "envs" / os.path.basename(path))
                real = real if real in corpus.real else None
            if real is None or found[real]:
                wrong.append(path)
            found[real] += 1
        total = collections.Counter(corpus.real.values())
        there = collections.Counter(corpus.real[path] for path in found if path in corpus.real)
        fooled = collections.Counter(corpus.decoys.get(path, "?") for path in wrong)
        decoys = collections.Counter(corpus.decoys.values())
        print(f"\n{'environments':28} found  of   recall")
        for kind in sorted(total):
            print(f"{kind:28} {there[kind]:5} {total[kind]:4} {100 * there[kind] / total[kind]:6.1f} %")
        print(f"{'all':28} {sum(there.values()):5} {len(corpus.real):4}")
        print(f"\n{'decoys':28} taken  of")
        for kind in sorted(decoys):
            print(f"{kind:28} {fooled[kind]:5} {decoys[kind]:4}")
        precision = 100 * (len(seen) - len(wrong)) / max(len(seen), 1)
        print(f"{'all':28} {len(wrong):5} {len(corpus.decoys):4}   precision {precision:.1f} %")
        missing = sorted(path for path in corpus.real if not found[path])
        self.assertEqual(missing, [], "not found")
        self.assertEqual(wrong, [], "are no environments, or are there twice")
        if self.unshare:
            self.assertGreaterEqual(len(corpus.real), 500)
            self.assertGreaterEqual(len(corpus.decoys), 200)


if __name__ == "__main__":
    harness.main()
