"""Damage to the agent's store: set aside and rebuilt by itself, with the same environments.

    EW_SEED=N    repeats the choices of a run (its seed is printed)
"""

import os
import random
import shutil

import harness

import conda_writer  # beside replay.py: harness says where

SEED = int(os.environ.get("EW_SEED") or random.SystemRandom().randrange(1 << 32))
PAGE = 4096


def zeroes(data, rng):
    """Some pages in the middle, as a file system may leave them after a power cut."""
    for _ in range(4):
        at = rng.randrange(2, len(data) // PAGE) * PAGE
        data[at:at + PAGE] = bytes(PAGE)


def noise(data, rng):
    for _ in range(40):
        at = rng.randrange(2 * PAGE, len(data))
        data[at] ^= 1 << rng.randrange(8)


def heads(data, _):
    """Both of the file's headers."""
    data[:2 * PAGE] = bytes(2 * PAGE)


def short(data, _):
    del data[len(data) // 3:]


def all_pages(data, _):
    """Every page but the headers: nothing that is read is right."""
    data[2 * PAGE:] = bytes(len(data) - 2 * PAGE)


class Damage(harness.Case):
    def environments(self, site):
        return {env["prefix"]: (env["id"], env["packages"]) for env in site.environments()}

    def enrolled_site(self):
        site = self.site
        # Damaged pages may end the process that looks at them, which is not what is tested.
        for name in ("ASAN_OPTIONS", "TSAN_OPTIONS"):
            site.agent.env[name] = ":".join(filter(None, (
                site.env.get(name), "handle_segv=0", "handle_sigbus=0", "handle_abort=0")))
        writer = conda_writer.Writer(site.home)
        for name in ("a", "b", "c"):
            writer.create(site.envs / name, ["libfoo-1.0-0", "zstd-1.5.6-hb46c0d2_0"])
        site.start_everything()
        site.wait_server("the environments", lambda changes: len(changes) >= 3)
        harness.wait_for("the last ack", lambda: (s := site.status()) and
                         s["journal"]["acked"] == s["journal"]["head"])
        self.epoch = site.status()["journal"]["epoch"].replace("-", "")
        self.first_epoch = self.epoch
        return site, writer, self.environments(site)

    def aside(self, site):
        return sorted(site.agent_state.glob("store.damaged-*"))

    def check_rebuilt(self, site, before):
        harness.wait_for("the environments, as before",
                         lambda: self.environments(site) == before)
        site.wait_connected()
        harness.wait_for("all at the server", lambda: (s := site.status()) and
                         s["journal"]["head"] > 0 and
                         s["journal"]["acked"] == s["journal"]["head"])
        gaps = [change["detail"] for change in site.server_changes() if change["kind"] == "gap"]
        self.assertIn(self.epoch, gaps, "the lost journal is named")
        self.epoch = site.status()["journal"]["epoch"].replace("-", "")

    def test_while_stopped(self):
        """The core was killed, and what it left is damaged in one way or another."""
        print(f"seed {SEED}")
        rng = random.Random(SEED)
        site, _, before = self.enrolled_site()
        for damage in (noise, heads, short, zeroes, all_pages):
            site.agent.kill()
            n_aside = len(self.aside(site))
            path = site.agent_state / "store" / "data.mdb"
            data = bytearray(path.read_bytes())
            damage(data, rng)
            path.write_bytes(data)
            site.start_agent()
            harness.wait_for("the environments, as before",
                             lambda: self.environments(site) == before)
            # It may have hit what nothing has read so far: then the next round finds it.
            if site.status()["journal"]["epoch"].replace("-", "") != self.epoch:
                self.assertGreater(len(self.aside(site)), n_aside)
                self.check_rebuilt(site, before)
        self.assertGreater(len(self.aside(site)), n_aside, "no page is left whole")

    def test_emptied(self):
        """Nothing is damaged, for nothing is there any more."""
        site, _, before = self.enrolled_site()
        folder = site.agent_state / "store"
        for empty in (lambda: os.truncate(folder / "data.mdb", 0), lambda: shutil.rmtree(folder)):
            site.agent.stop()
            empty()
            site.start_agent()
            self.check_rebuilt(site, before)
        self.assertEqual(self.aside(site), [])

    def test_while_running(self):
        """Damage that is met by reading: the agent mends itself, without anybody's hand."""
        site, writer, before = self.enrolled_site()
        path = site.agent_state / "store" / "data.mdb"
        size = path.stat().st_size
        with open(path, "r+b") as file:
            file.seek(2 * PAGE)
            file.write(bytes(size - 2 * PAGE))
        site.ew("history", "--json")
        site.ew("record", "--all")
        harness.wait_for("the store set aside", lambda: self.aside(site))
        harness.wait_for("the agent", lambda: site.agent.expect_running() and site.status())
        self.check_rebuilt(site, before)
        # It is told, until somebody has looked and removed it; over a restart, too.
        folder, = self.aside(site)
        self.assertIn(f"an older journal ({self.first_epoch[:8]}...) was lost",
                      site.ew("history").out)
        site.agent.stop()
        site.start_agent()
        told, = (line for line in site.status()["degraded"] if line["what"] == "store set aside")
        self.assertIn(str(folder), told["why"])
        self.assertIn("store set aside", site.ew("doctor").out)
        shutil.rmtree(folder)
        self.assertEqual([], site.status()["degraded"])
        # And it goes on.
        writer.create(site.envs / "later", ["libfoo-1.0-0"])
        harness.wait_for("a reader", lambda: site.ew("record", site.envs / "later").code == 0)
        site.wait_server("the new one", lambda changes: any(
            c["environment"]["prefix"].endswith("/later") for c in changes if "environment" in c))


if __name__ == "__main__":
    harness.main()
