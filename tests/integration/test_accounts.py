"""A directory server that does not answer holds up nothing but what only it knows."""

import os
import pathlib
import time

import harness

import conda_writer  # beside replay.py: harness says where


class Accounts(harness.Case):
    def setUp(self):
        super().setUp()
        site = self.site
        self.flag = site.dir / "hang"
        self.flag.touch()
        site.agent.words.remove("--user")  # the machine's agent: it asks for every account
        site.agent_config.write_text(f"roots = {site.home}\n")
        site.agent.env = {"LD_PRELOAD": str(harness.BIN / "accounts_hang.so"),
                          "ACCOUNTS_HANG": str(self.flag),
                          "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")
                          + ":verify_asan_link_order=0"}

    def listed(self):
        return {env["name"]: env.get("user", "")
                for env in self.site.ew("list", "--all", "--json").json()["environments"]
                if env["prefix"].startswith(str(self.site.home))}

    def trouble(self):
        return [d for d in self.site.status()["degraded"] if d["what"] == "accounts"]

    def test_a_service_that_hangs(self):
        site = self.site
        writer = conda_writer.Writer(site.home)
        writer.create(site.envs / "one", ["libfoo-1.0-0"])
        site.start_agent()
        harness.wait_for("what is found without it", lambda: "one" in self.listed())
        self.assertEqual(self.listed(), {"one": ""})
        for target in (site.envs / "one", "one"):
            began = time.monotonic()
            answer = site.ew("check", "--json", "--timeout-ms", "10000", target).json()
            self.assertEqual(answer["prefix"], str(site.envs / "one"))
            self.assertLess(time.monotonic() - began, 5)
        told = harness.wait_for("that it is told", self.trouble)
        self.assertIn("has not answered for", told[0]["why"])
        self.assertIn("SSSD", told[0]["do"])
        writer.create(site.envs / "two", ["libfoo-1.0-0"])
        harness.wait_for("what is new", lambda: "two" in self.listed())

        self.flag.unlink()
        harness.wait_for("that it is well again", lambda: not self.trouble())
        writer.create(site.envs / "three", ["libfoo-1.0-0"])
        harness.wait_for("the owner's name", lambda: self.listed().get("three")
                         == pathlib.Path(site.home).owner())

    def test_stopping_while_it_hangs(self):
        self.site.start_agent()
        harness.wait_for("that it hangs", self.trouble)
        began = time.monotonic()
        self.site.agent.stop()
        self.assertLess(time.monotonic() - began, 8)


if __name__ == "__main__":
    harness.main()
