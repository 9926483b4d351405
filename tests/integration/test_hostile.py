"""Environments made to harm: what is wrong with them is told, harmless, and hurts nobody else."""

import json
import os
import pathlib
import re
import shutil
import time
import unittest

import harness

SITE = "lib/python3.11/site-packages"
SECRET = "hunter2-secret"
MANY = 150_000        # names in one conda-meta
DISTS = 17_000        # distributions in one site-packages
READER_MB = 96        # the most the reader may have of its own; sanitizers take more
SANITIZED = "asan" in str(harness.BIN) or "tsan" in str(harness.BIN)
# Control characters but the newline, and what moves or hides text.
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def record(name, version="1.0", **more):
    return json.dumps({"name": name, "version": version, "build": "0", "build_number": 0,
                       "subdir": "linux-64", **more})


class Hostile(harness.Case):
    def setUp(self):
        super().setUp()
        self.listing = self.site.home / ".conda" / "environments.txt"
        self.listing.parent.mkdir()
        self.prefixes = []

    def env(self, name, *, python=False):
        prefix = os.fsencode(self.site.envs) + b"/" + os.fsencode(name)
        os.makedirs(prefix + b"/conda-meta")
        with open(prefix + b"/conda-meta/history", "w", encoding="utf-8"):
            pass
        if python:
            self.put(prefix, "conda-meta/python-3.11.9-0.json", record("python", "3.11.9"))
        self.prefixes.append(prefix)
        with open(self.listing, "wb") as listing:
            listing.write(b"".join(p + b"\n" for p in self.prefixes))
        return prefix

    def put(self, prefix, name, text):
        path = prefix + b"/" + os.fsencode(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())

    def listed(self):
        return {e["prefix"]: e for e in self.site.ew("list", "--json").json()["environments"]}

    def notes(self, name):
        found = [e for p, e in self.listed().items() if p.endswith("/" + name)]
        return found[0].get("degraded", []) if found else []

    def assertHarmless(self, *names):
        """Nothing printed or logged has raw control characters, or the secret."""
        texts = [self.site.agent.log.read_text(errors="surrogateescape")]
        commands = [("list",), ("list", "--json"), ("history",), ("history", "--json"),
                    ("status",)]
        for name in names:
            path = f"{self.site.envs}/{name}"
            commands += [("show", path), ("show", "--json", path), ("history", path)]
        for words in commands:
            result = self.site.ew(*words)
            self.assertIn(result.code, (0, 5), repr(result))
            texts += [result.out, result.err]
        for text in texts:
            self.assertIsNone(RAW.search(text), text[:2000])
            self.assertNotIn(SECRET, text)

    def reader_mb(self):
        pid = self.site.worker("reader")
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+)", text)[1]) / 1024

    # --- what stands in the folders

    def test_files_that_are_none(self):
        secret = self.site.dir / "secret.json"
        secret.write_text(f'{{"name": "{SECRET}", "password": "{SECRET}"')
        prefix = self.env("odd", python=True)
        meta = os.fsdecode(prefix) + "/conda-meta"
        os.mkfifo(f"{meta}/fifo-1-0.json")
        os.mkdir(f"{meta}/folder-1-0.json")
        os.symlink(secret, f"{meta}/link-1-0.json")
        os.symlink("loop-1-0.json", f"{meta}/loop-1-0.json")
        os.symlink("/dev/zero", f"{meta}/zero-1-0.json")
        self.put(prefix, "conda-meta/deep-1-0.json", "[" * 10_000)
        self.put(prefix, "conda-meta/deeper-1-0.json", '{"a":' * 10_000 + "1" + "}" * 10_000)
        self.put(prefix, "conda-meta/new\nline-1-0.json", "[]")
        self.put(prefix, "conda-meta/\x1b[31mred-1-0.json", "[]")
        self.put(prefix, "conda-meta/\u202egnp-1-0.json", "[]")
        self.put(prefix, b"conda-meta/\xff\xfe-1-0.json", "[]")
        self.put(prefix, "conda-meta/esc-1.0-0.json", record("esc", license="\x1b[2J\u202eMIT"))
        self.put(prefix, "conda-meta/bytes-1.0-0.json", b'{"name": "\xff\xfe", "version": "1"}')
        self.put(prefix, "conda-meta/big-1-0.json", "{")
        os.truncate(f"{meta}/big-1-0.json", 10 << 30)
        self.put(prefix, "conda-meta/files-1.0-0.json",
                 record("files", files=[f"x/{i}.dist-info/RECORD" for i in range(100_000)]))
        self.put(prefix, f"{SITE}/endless-1.dist-info/METADATA",
                 "Name: endless\nVersion: 1\n" + "Summary: x\n" * 1_000_000)
        self.put(prefix, f"{SITE}/endless-1.dist-info/RECORD", "")
        self.put(prefix, f"{SITE}/evil-1.dist-info/METADATA", "Name: e\x1b[31m\nVersion: 1\u202e\n")
        self.put(prefix, f"{SITE}/evil-1.dist-info/RECORD", "")
        os.makedirs(os.fsdecode(prefix) + f"/{SITE}/stolen-1.dist-info")
        os.symlink(secret, os.fsdecode(prefix) + f"/{SITE}/stolen-1.dist-info/METADATA")
        self.put(prefix, f"{SITE}/stolen-1.dist-info/RECORD", "")
        self.put(prefix, "conda-meta/history",
                 "==> 2026-01-02 03:04:05 <==\n# cmd: /bin/conda install 'x\n"
                 "==> 2027-01-01 00:00:00 <==\n# cmd: rm \x1b[31m -rf \u202e/\n"
                 f"-c https://u:{SECRET}@h/x\n")
        self.site.start_agent()
        harness.wait_for("the notes", lambda: len(self.notes("odd")) > 10)
        shown = self.site.ew("show", "--json", os.fsdecode(prefix)).json()
        names = {p["name"] for p in shown["packages"]}
        self.assertLessEqual({"python", "esc", "files", "endless"}, names)
        self.assertNotIn(SECRET, str(names))
        self.assertHarmless("odd")

    def test_names_of_environments(self):
        names = ["plain", "new\nline", "\x1b[31mred", "\u202egnp"]
        for name in names:
            self.put(self.env(name), "conda-meta/foo-1.0-0.json", record("foo"))
        bad = self.env(os.fsdecode(b"b\xff\xfe"))
        self.put(bad, "conda-meta/foo-1.0-0.json", record("foo"))
        # Only the bytes part the two.
        twin = self.env(r"b\xff\xfe")
        self.put(twin, "conda-meta/bar-1.0-0.json", record("bar"))
        self.site.start_agent()
        # A newline parts the lines of environments.txt; the folder beside tells of all.
        harness.wait_for("all of them", lambda: len(self.listed()) == 6)
        prefix = str(self.site.envs) + r"/b\xff\xfe"
        self.assertEqual([p["name"] for p in self.site.ew("show", "--json", prefix)
                          .json()["packages"]], ["foo"])
        self.assertIn(str(self.site.envs) + r"/b\x5cxff\x5cxfe", self.listed())
        self.put(bad, "conda-meta/bar-1.0-0.json", record("bar"))
        harness.wait_for("a change there", lambda: self.listed()[prefix]["packages"] == 2)
        self.assertHarmless("plain")
        shutil.rmtree(bad)
        harness.wait_for("its end", lambda: prefix not in self.listed())
        self.assertHarmless("plain")

    # --- how much there is

    def test_masses(self):
        good = self.env("good")
        self.put(good, "conda-meta/foo-1.0-0.json", record("foo"))
        self.site.start_agent()
        harness.wait_for("the good one", lambda: len(self.listed()) == 1)
        many = os.fsdecode(self.env("many")) + "/conda-meta"
        for i in range(MANY):
            os.close(os.open(f"{many}/p{i}-1-0.json", os.O_CREAT | os.O_WRONLY, 0o600))
        dists = os.fsdecode(self.env("dists", python=True)) + f"/{SITE}"
        for i in range(DISTS):
            folder = f"{dists}/d{i}-1.dist-info"
            os.makedirs(folder)
            pathlib.Path(folder, "METADATA").write_text(f"Name: d{i}\nVersion: 1\n")
            pathlib.Path(folder, "RECORD").write_text("")
        slowest, peak = 0, 0
        for step in range(5):
            start = time.monotonic()
            self.put(good, f"conda-meta/new{step}-1.0-0.json", record(f"new{step}"))
            harness.wait_for("the good one's change", lambda step=step:
                             self.listed()[os.fsdecode(good)]["packages"] == step + 2)
            slowest = max(slowest, time.monotonic() - start)
            peak = max(peak, self.reader_mb())
            pathlib.Path(many, f"x{step}-1-0.json").write_text("")  # and again
        harness.wait_for("the notes", lambda: self.notes("many") and self.notes("dists"))
        self.assertIn("the rest is left out", str(self.notes("many")))
        self.assertIn("the rest is left out", str(self.notes("dists")))
        # 3 s for history to follow, then settling; what else there is adds little.
        self.assertLess(slowest, 40 if SANITIZED else 8)
        if not SANITIZED:
            self.assertLess(peak, READER_MB)
        self.assertHarmless("many", "dists")


if __name__ == "__main__":
    unittest.main()
