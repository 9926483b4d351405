"""Environments whose path is not UTF-8: every way to name one leads to it."""

import os

import harness

import conda_writer  # beside replay.py: harness says where

SHOWN = r"odd\xff"


class OddBytes(harness.Case):
    def setUp(self):
        super().setUp()
        site = self.site
        conda_writer.Writer(site.home).create(site.envs / "plain", ["libfoo-1.0-0"])
        self.odd = os.fsencode(site.envs) + b"/odd\xff"
        os.rename(site.envs / "plain", self.odd)
        site.start_agent()

    def ew(self, command, *words, cwd="/", **env):
        return self.site.run("/usr/bin/env", "-C", os.fsdecode(cwd), harness.BIN / "envwarden",
                             command, "--socket", self.site.socket, *words, **env)

    def test_every_way_to_name_it(self):
        raw = os.fsdecode(self.odd)
        folder = os.fsencode(self.site.envs)
        ways = (
            (("--prefix", raw), {}),
            ((raw,), {}),
            (("./" + os.path.basename(raw),), {"cwd": folder}),
            (("--prefix", "."), {"cwd": self.odd}),
            ((), {"CONDA_PREFIX": raw, "cwd": self.odd}),
            (("--name", os.path.basename(raw)), {"CONDA_ENVS_DIRS": os.fsdecode(folder)}),
        )
        self.assertRun(self.ew("record", "--prefix", raw), 0, out="odd")
        for words, options in ways:
            with self.subTest(words=words):
                shown = self.assertRun(self.ew("show", *words, "--json", **options), 0)
                self.assertIn("libfoo", shown.out)
                checked = self.assertRun(
                    self.ew("check", "--json", "--timeout-ms", "20000", *words, **options), 0)
                self.assertEqual(str(self.site.envs) + "/" + SHOWN, checked.json()["prefix"])


if __name__ == "__main__":
    harness.main()
