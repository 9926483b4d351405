"""`envwarden-server restore` where it goes wrong: killed at every step, no space at every step,
backups that are none, paths that are the database's own, called twice."""

import contextlib
import os
import shutil
import sqlite3
import subprocess

import harness

STEPS_MAX = 400
CUT_SHORT = "if a restore was cut short, run it again"
KILLED = -9
OF_LATE = 77  # uses of a join code that the backup does not know


class RestoreKilled(harness.Case):
    def setUp(self):
        super().setUp()
        site = self.site
        site.init_server()
        self.state, self.database = site.server_state, site.server_state / "envwarden.db"
        self.backup = site.dir / "backup.db"
        shutil.copy(self.database, self.backup)
        self.backup_bytes = self.backup.read_bytes()

    @contextlib.contextmanager
    def opened(self, path):
        """Looked into without being changed: with its log, elsewhere."""
        there = self.site.dir / "looked-at.db"
        for suffix in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(f"{path}{suffix}", f"{there}{suffix}")
        connection = sqlite3.connect(there)
        try:
            yield connection
        finally:
            connection.close()
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{there}{suffix}")

    def query(self, path, sql):
        with self.opened(path) as connection:
            self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            return connection.execute(sql).fetchall()

    def codes(self, path):
        return [uses for uses, in self.query(path, "SELECT uses FROM join_code")]

    def restored(self, path):
        return self.query(path, "SELECT count(*) FROM restore")[0][0]

    def restore(self, *words, source=None, **env):
        return self.site.run("envwarden-server", "restore", "--state-dir", self.state, "--from",
                             source or self.backup, *words, **env)

    def leave_a_log(self):
        """What the backup does not know is in the database's log alone, as after a kill -9."""
        connection = sqlite3.connect(self.database)
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM join_code").fetchall()  # so that the log stays
        self.site.must("envwarden-server", "join-code", "create", "--state-dir", self.state,
                       "--address", "a:1", "--uses", OF_LATE)
        kept = {suffix: (self.state / f"envwarden.db{suffix}").read_bytes()
                for suffix in ("", "-wal")}
        connection.close()
        for suffix, data in kept.items():
            (self.state / f"envwarden.db{suffix}").write_bytes(data)
        self.assertEqual(self.codes(self.database), [OF_LATE])
        self.kept = kept

    def put_back(self):
        shutil.rmtree(self.state)
        shutil.copytree(self.site.dir / "stage", self.state)

    def stage(self):
        shutil.copytree(self.state, self.site.dir / "stage")

    def leftovers(self, what):
        return sorted(file.name for file in self.state.iterdir() if what in file.name)

    def check_whole(self):
        """Old with its log, new, or none: never anything else, and the backup is as it was."""
        self.assertEqual(self.backup.read_bytes(), self.backup_bytes)
        self.assertEqual(sorted(self.site.dir.glob("backup.db*")), [self.backup])
        if not self.database.exists():
            told = self.site.run("envwarden-server", "join-code", "create", "--state-dir",
                                 self.state, "--address", "a:1")
            self.assertRun(told, 1, err=CUT_SHORT)
            self.assertFalse(self.database.exists())
        elif self.restored(self.database):
            self.assertEqual(self.codes(self.database), [])
        else:
            self.assertEqual(self.codes(self.database), [OF_LATE])

    def check_restored(self, result):
        self.assertRun(result, 0, out="the server's epoch is 2")
        self.assertEqual((self.restored(self.database), self.codes(self.database)), (1, []))
        self.assertEqual(self.leftovers("restoring"), [])
        # Wherever it was cut, what was replaced is whole under one name at least.
        kept = [name for name in self.leftovers("replaced") if not name.endswith(("-wal", "-shm"))]
        self.assertIn([OF_LATE], [self.codes(self.state / name) for name in kept])

    def each_step(self, variable, code, also=lambda: None):
        """Runs it again and again, each time going wrong one step later, until it gets by."""
        self.stage()
        for n in range(1, STEPS_MAX):
            result = self.restore(**harness.preloaded("disk_fault", **{variable: n}))
            if result.code == 0:
                break
            self.assertEqual(result.code, code, repr(result))
            self.check_whole()
            also(result)
            self.check_restored(self.restore())
            self.put_back()
        self.check_restored(result)
        return n

    def test_killed_at_each_step(self):
        self.leave_a_log()
        self.assertGreater(self.each_step("DISK_DIES", KILLED, lambda result: None), 15)

    def test_killed_without_a_log(self):
        """The usual case: then there is a database at every instant."""
        self.leave_a_log()
        sqlite3.connect(self.database).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
        self.assertGreater(self.each_step("DISK_DIES", KILLED, lambda result: self.assertTrue(
            self.database.exists())), 12)

    def test_full_at_each_step(self):
        self.leave_a_log()

        def told(result):
            self.assertRegex(result.err, "No space|no space|full")
            self.assertEqual(self.codes(self.database), [OF_LATE])  # nothing was exchanged
            self.assertEqual(self.leftovers("restoring") + self.leftovers("replaced"), [])
        self.assertGreater(self.each_step("DISK_FULL_AT", 1, told), 5)

    def test_the_backup_is_never_touched(self):
        """By whatever name its own files are given as the backup, they stay what they are."""
        self.leave_a_log()
        left = self.state / "envwarden.db.restoring"
        shutil.copy(self.backup, left)
        link, hard = self.site.dir / "link", self.site.dir / "hard"
        link.symlink_to(left)
        os.link(left, hard)
        for source in (left, link, hard, self.state / ".." / "server" / left.name):
            self.assertRun(self.restore(source=source), 1, err="cut short")
            self.assertEqual(left.read_bytes(), self.backup_bytes)
        for source in (self.database, self.state / "." / "envwarden.db"):
            self.assertRun(self.restore(source=source), 1, err="leave out --from")
        self.check_whole()
        left.rename(self.site.dir / "elsewhere.db")
        self.check_restored(self.restore(source=self.site.dir / "elsewhere.db"))
        # What was replaced is a backup, too, also within the second in which it was.
        replaced = self.state / self.leftovers("replaced")[0]
        self.assertRun(self.restore(source=replaced), 0)
        self.assertEqual(self.codes(self.database), [OF_LATE])
        self.assertEqual(self.codes(replaced), [OF_LATE])

    def test_twice(self):
        self.leave_a_log()
        for i in range(3):
            self.assertRun(self.restore(), 0, out="the server's epoch is 2")
        self.assertEqual(len([n for n in self.leftovers("replaced") if "-wal" not in n]), 3)
        self.assertRun(self.site.run("envwarden-server", "restore", "--state-dir", self.state), 0,
                       out="the server's epoch is 3")
        self.site.start_server()

    def test_two_at_once(self):
        words = [str(harness.BIN / "envwarden-server"), "restore", "--state-dir", str(self.state),
                 "--from", str(self.backup)]
        both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env=self.site.env) for _ in range(2)]
        told = [(p.communicate()[1], p.returncode) for p in both]
        self.assertIn(0, [code for _, code in told])
        for err, code in told:
            if code != 0:
                self.assertRegex(err, "already running")
        self.assertEqual(self.restored(self.database), 1)
        self.site.start_server()

    def test_no_backup_of_ours(self):
        self.leave_a_log()
        other = self.new_site()
        other.init_server()
        path = self.site.dir / "no-backup"

        def database(*statements):
            connection = sqlite3.connect(path)
            for statement in statements:
                connection.execute(statement)
            connection.commit()
            connection.close()

        def damaged():
            # A page in the middle; the header is whole.
            data = bytearray(self.backup_bytes)
            size = int.from_bytes(data[16:18], "big")
            for page in range(2, len(data) // size, 3):
                data[page * size:page * size + 64] = b"\xee" * 64
            path.write_bytes(data)

        for what, make, err in (
                ("empty", lambda: path.write_bytes(b""), "no envwarden server's database"),
                ("text", lambda: path.write_bytes(b"no database" * 1000), "not a database"),
                ("half", lambda: path.write_bytes(self.backup_bytes[:40000]), "malformed|damaged"),
                ("damaged", damaged, "malformed|damaged"),
                ("another program's", lambda: database("CREATE TABLE t (x)"),
                 "no envwarden server's database"),
                ("another organisation's", lambda: shutil.copy(other.server_state / "envwarden.db",
                                                               path), "another organisation"),
                ("newer", lambda: (shutil.copy(self.backup, path),
                                   database("UPDATE schema_version SET version = 999")),
                 "this program knows up to"),
                ("a folder", path.mkdir, "not a regular file"),
                ("a pipe", lambda: os.mkfifo(path), "not a regular file")):
            with self.subTest(what):
                make()
                self.assertRun(self.restore(source=path), 1, err=err)
                self.assertEqual(self.leftovers("restoring") + self.leftovers("replaced"), [])
                self.check_whole()
                if path.is_dir():
                    path.rmdir()
                else:
                    path.unlink()
        self.assertRun(self.restore(source="/dev/zero"), 1, err="not a regular file")

    def test_nothing_to_mark(self):
        """The folder is the backup, but its database is not there: none is made."""
        self.database.unlink()
        words = ("envwarden-server", "restore", "--state-dir", self.state)
        self.assertRun(self.site.run(*words), 1, err=CUT_SHORT)
        self.assertRun(self.site.run("envwarden-server", "serve", "--state-dir", self.state), 1,
                       err=CUT_SHORT)
        self.assertRun(self.site.run("envwarden-server", "root", "show", "--state-dir",
                                     self.state), 1, err=CUT_SHORT)
        self.assertFalse(self.database.exists())
        self.assertRun(self.restore(), 0)
        self.site.start_server()


if __name__ == "__main__":
    harness.main()
