"""What has not changed is not read again: after one package changed, and after a restart.

Counted are the bytes the reader process reads (rchar of /proc/PID/io), against those of the records.
"""

import json
import pathlib
import shutil
import time
import unittest

import harness

RECORDS = 200
RECORD_BYTES = 100_000
SITE = "lib/python3.11/site-packages"
RACY_S = 2.5  # younger files are always read (agent/prefix/marks.h)


def record(name, version, files=(), pad=RECORD_BYTES, **more):
    return json.dumps({"name": name, "version": version, "build": "0", "build_number": 0,
                       "channel": "https://conda.anaconda.org/conda-forge", "subdir": "linux-64",
                       "license": "MIT", "files": [*files, *["x" * 96] * (pad // 100)], **more})


class Reread(harness.Case):
    def setUp(self):
        super().setUp()
        self.prefix = self.site.envs / "big"
        self.meta = self.prefix / "conda-meta"
        self.meta.mkdir(parents=True)
        for i in range(RECORDS):
            self.write(f"pkg{i:03}", "1.0")
        self.write("python", "3.11.9")
        self.write("requests", "2.0", [f"{SITE}/requests-2.0.dist-info/RECORD"])
        self.dist("requests", "2.0")
        self.dist("demo", "1.0")
        (self.meta / "history").write_text("")
        listing = self.site.home / ".conda" / "environments.txt"
        listing.parent.mkdir()
        listing.write_text(f"{self.prefix}\n")
        time.sleep(RACY_S)

    def write(self, name, version, files=(), **more):
        (self.meta / f"{name}-{version}-0.json").write_text(record(name, version, files, **more))

    def dist(self, name, version):
        folder = self.prefix / SITE / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
        (folder / "RECORD").write_text("")

    def read_bytes(self):
        """What the reader has read so far. Not readable for the moment that it starts in."""
        text = pathlib.Path(f"/proc/{self.site.worker('reader')}/io").read_text()
        return int(text.split("rchar: ")[1].split()[0])

    def packages(self):
        shown = self.site.ew("show", "--json", self.prefix).json()
        return {p["name"]: p for p in shown["packages"]}

    def wait_package(self, name, version):
        def there():
            return self.packages().get(name, {}).get("version") == version
        harness.wait_for(f"{name} {version}", there)

    def test_only_what_changed_is_read(self):
        site = self.site
        site.start_agent()
        site.wait_agent("the environment", lambda changes: len(changes) == 1)
        whole = self.read_bytes()
        self.assertGreater(whole, RECORDS * RECORD_BYTES)
        before = self.packages()
        self.assertEqual(len(before), RECORDS + 3)

        # A package more: its record, python's own, and little else.
        self.write("new", "1.0")
        self.wait_package("new", "1.0")
        self.assertLess(self.read_bytes() - whole, RECORDS * RECORD_BYTES / 4)
        after = self.packages()
        self.assertEqual({k: v for k, v in after.items() if k != "new"}, before)

        # One changed in place, one gone, one of pip's gone.
        begin = self.read_bytes()
        self.write("pkg007", "1.0", license="Zlib")
        (self.meta / "pkg008-1.0-0.json").unlink()
        shutil.rmtree(self.prefix / SITE / "demo-1.0.dist-info")
        harness.wait_for("the changes", lambda: self.packages().get("pkg007", {})["license"] == "Zlib"
                         and "pkg008" not in self.packages() and "demo" not in self.packages())
        self.assertLess(self.read_bytes() - begin, RECORDS * RECORD_BYTES / 4)
        self.assertEqual(len(self.packages()), len(after) - 2)
        self.assertEqual(self.packages()["requests"]["manager"], "conda")

        # When the record goes whose claim was kept, the distribution is pip's.
        (self.meta / "requests-2.0-0.json").unlink()
        harness.wait_for("requests to be pip's",
                         lambda: self.packages()["requests"]["manager"] == "pypi")

        # A new agent knows it all.
        shown = self.packages()
        time.sleep(RACY_S)
        site.record("--all")
        site.agent.stop()
        changes = None
        site.start_agent()
        changes = len(site.agent_changes())
        self.write("last", "1.0")
        self.wait_package("last", "1.0")
        self.assertLess(self.read_bytes(), RECORDS * RECORD_BYTES / 4)
        self.assertEqual({k: v for k, v in self.packages().items() if k != "last"}, shown)
        self.assertEqual(len(site.agent_changes()), changes + 1)

    def test_without_the_store_all_is_read(self):
        """What the core has lost it does not lend: a new store is filled from the disk."""
        site = self.site
        site.start_agent()
        site.wait_agent("the environment", lambda changes: len(changes) == 1)
        before = self.packages()
        site.agent.stop()
        shutil.rmtree(site.agent_state)
        site.start_agent()
        site.wait_agent("the environment", lambda changes: len(changes) == 1)
        self.assertEqual(self.packages(), before)


if __name__ == "__main__":
    unittest.main()
