"""Bad situations at the start: one clear line, an exit code, and nothing half-made."""

import os
import re
import stat

import harness

LOG_LINE = re.compile(r"^\d{4}-\d\d-\d\dT\S+ (debug|info|warn|error) ")
USAGE = re.compile(r"^(usage:|Usage:| |$)")
TERMS = re.compile(r"^envwarden: (this machine would join|It would then be sent|  )")


def talk(result):
    """What a command says, without log lines, usage and the terms of joining."""
    return [line for line in result.err.splitlines()
            if not any(known.match(line) for known in (LOG_LINE, USAGE, TERMS))]


def listing(folder):
    """Everything below a folder: name, kind, size and time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        found[str(path)] = (stat.S_IFMT(info.st_mode), info.st_size, info.st_mtime_ns)
    return found


class BadStart(harness.Case):
    def refused(self, result, code, words):
        self.assertEqual(result.code, code, repr(result))
        self.assertEqual(len(talk(result)), 1, repr(result))
        self.assertRegex(talk(result)[0], words)
        self.assertEqual(result.out, "", repr(result))


class Joining(BadStart):
    def setUp(self):
        super().setUp()
        self.site.start_server()
        self.site.start_agent()

    def enrol(self, code, site=None):
        site = site or self.site
        file = site.dir / "code"
        file.write_text(code)
        return site.ew("enroll", "--join-file", file, "--yes")

    def not_enrolled(self):
        status = self.site.status()
        self.assertFalse(status["enrolled"], status)
        self.assertFalse((self.site.agent_state / "identity").exists())

    def test_codes_that_are_none(self):
        good = self.site.join_code()
        other = "A" if good[20] != "A" else "B"
        for code, words in (
                ("", "join code is empty"),
                ("hello world\n", "not a join code: one begins with EW1-"),
                (good[:len(good) // 2], r"too short: \d+ of \d+ characters; copy all of it"),
                (good + "AAAAA", "too long"),
                (good[:20] + other + good[21:], "mistyped: .*; copy all of it"),
                ("EW2-" + good[4:], "another version")):
            with self.subTest(words):
                self.refused(self.enrol(code), 1, words)
        self.refused(self.site.ew("enroll", "--join-file", self.site.dir / "none"), 1,
                     "none: No such file|cannot open .*none")
        self.not_enrolled()
        # None of them was held against the code.
        self.assertEqual(self.enrol(good).code, 0)

    def test_a_code_is_not_for_the_command_line(self):
        code = self.site.join_code()
        result = self.site.ew("enroll", code)
        self.refused(result, 2, "secret and not for the command line.*use --join-file")
        self.assertNotIn(code, result.err)

    def test_a_code_of_another_server(self):
        other = self.new_site()
        other.start_server()
        code = other.join_code("--address", f"127.0.0.1:{self.site.agent_port}")
        self.refused(self.enrol(code), 1, "not the one this join code is for")
        self.not_enrolled()

    def test_a_server_that_is_not_there(self):
        code = self.site.join_code()
        self.site.server.stop()
        self.refused(self.enrol(code), 1, "connection refused; check the network")
        self.not_enrolled()
        self.site.start_server()
        self.assertEqual(self.enrol(code).code, 0)

    def test_a_used_code(self):
        code = self.site.join_code("--uses", "1")
        first = self.new_site()
        first.start_agent()
        self.assertEqual(self.enrol(code, first).code, 0)
        self.refused(self.enrol(code), 7, "used up or has expired; ask your administrator")
        self.not_enrolled()

    def test_a_clock_far_ahead(self):
        """Nothing but the own clock is known before joining; afterwards the server's time holds."""
        site = self.site
        site.agent.stop()
        site.agent.env = {"LD_PRELOAD": str(harness.BIN / "clock_ahead.so"),
                          "AHEAD_S": str(40 * 365 * 86400),
                          "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")
                          + ":verify_asan_link_order=0"}
        site.start_agent()
        self.refused(self.enrol(site.join_code()), 1, "expired.*clock|clock.*expired")
        self.not_enrolled()
        ahead, site.agent.env = site.agent.env, {}
        site.agent.stop()
        site.start_agent()
        self.assertEqual(self.enrol(site.join_code()).code, 0)
        site.wait_connected()
        site.agent.stop()
        site.agent.env = ahead
        site.start_agent()
        site.wait_connected()

    def test_enrolled_already(self):
        self.assertEqual(self.enrol(self.site.join_code()).code, 0)
        self.assertRun(self.enrol(self.site.join_code()), 0, "enrolled with Proving Ground already")
        other = self.new_site()
        other.organisation = "Elsewhere"
        other.start_server()
        self.refused(self.enrol(other.join_code()), 1, "is enrolled with Proving Ground already")


class Agent(BadStart):
    """envwardend itself."""

    def agent(self, *words, state="state", sock="own.sock"):
        return self.site.run("envwardend", "--user", "--foreground", "--state-dir",
                             self.site.dir / state, "--socket", self.site.dir / sock, *words)

    def starts_after_all(self, state="state"):
        """The same state folder serves, once the trouble is over."""
        words = self.site.agent.words
        words[words.index("--state-dir") + 1] = self.site.dir / state
        self.site.start_agent()
        self.assertEqual(self.site.agent_changes(), [])
        log = self.site.agent.log.read_text()
        self.assertNotIn("set aside", log)

    def test_config(self):
        config = self.site.dir / "bad.conf"
        for text, words in (
                ("# settings\nsetle_ms = 5\n", r'bad.conf: line 2: unknown key "setle_ms"; did you'),
                ("settle_ms = 1\n", "line 1: settle_ms: needs a number from 50 to"),
                ("settle_ms\n", "line 1: "),
                ("roots = here\n", "line 1: roots: needs absolute paths")):
            with self.subTest(words):
                config.write_text(text)
                self.refused(self.agent("--config", config), 1, words)
        self.refused(self.agent("--config", self.site.dir / "none.conf"), 1,
                     "none.conf: No such file")
        self.assertFalse((self.site.dir / "state").exists())
        self.starts_after_all()

    def test_usage(self):
        self.refused(self.agent("--bogus"), 2, "unknown option --bogus")
        self.refused(self.agent("--config"), 2, "--config")
        self.refused(self.agent("--config", "relative"), 2, "--config needs an absolute path")
        self.assertFalse((self.site.dir / "state").exists())

    def test_socket_of_another_agent(self):
        self.site.start_agent()
        self.refused(self.agent(sock="agent.sock"), 1, r"agent.sock: in use by another agent")
        self.assertTrue(self.site.status())
        self.site.agent.stop()
        self.starts_after_all()

    def test_state_of_another_agent(self):
        self.site.start_agent()
        self.refused(self.agent(state="agent"), 1, r"agent/lock: already running \(pid \d+\)")
        self.assertTrue(self.site.status())
        self.assertFalse((self.site.dir / "own.sock").exists())

    def test_supervisor_that_has_ended(self):
        """What it started a moment before does not begin."""
        for role in ("core", "reader"):
            self.assertRun(self.agent("--role", role, "--parent", "1"), 0)
        self.assertFalse((self.site.dir / "state").exists())

    def test_socket_path_too_long(self):
        self.refused(self.agent(sock="s" * 120), 1, "a socket's path has 1 to 107 bytes, not")
        self.starts_after_all()

    def test_socket_in_no_folder(self):
        (self.site.dir / "file").write_text("mine")
        self.refused(self.agent(sock="file/agent.sock"), 1, "/file")
        self.starts_after_all()

    def test_state_is_a_file(self):
        (self.site.dir / "state").write_text("mine")
        self.refused(self.agent(), 1, "state")
        self.assertEqual((self.site.dir / "state").read_text(), "mine")

    def test_store_is_a_folder(self):
        path = self.site.dir / "state" / "store" / "data.mdb"
        path.mkdir(parents=True)
        for folder in (path.parent, path.parent.parent):
            folder.chmod(0o700)
        self.refused(self.agent(), 1, re.escape(f"{path}: ") + ".*move that away")
        self.assertTrue(path.is_dir())

    def test_state_of_another_user(self):
        if os.getuid() != 0:
            self.skipTest("only root can give a folder away")
        folder = self.site.dir / "state"
        folder.mkdir(mode=0o700)
        os.chown(folder, 12345, 12345)
        self.refused(self.agent(), 1, "belongs to uid 12345, must belong to uid 0")
        self.assertEqual(listing(folder), {})
        os.chown(folder, 0, 0)
        self.starts_after_all()

    def test_nobody_there(self):
        for command in ("list", "history", "status", "record"):
            self.refused(self.site.ew(command), 3, "agent.sock: .*agent")


class Server(BadStart):
    def setUp(self):
        super().setUp()
        self.site.init_server()
        self.state = self.site.server_state

    def serve(self, *words):
        return self.site.run("envwarden-server", "serve", "--state-dir", self.state, *words)

    def init(self, folder, *words):
        return self.site.run("envwarden-server", "init", "--state-dir", folder, *words)

    def unchanged(self, *cases):
        """Each refused, and the state as it was."""
        before = listing(self.state)
        for result, code, words in cases:
            with self.subTest(words):
                self.refused(result(), code, words)
        self.assertEqual(listing(self.state), before)
        self.site.start_server()

    def test_init(self):
        new = self.site.dir / "new"
        self.unchanged(
            (lambda: self.init(self.state, "--organisation", "X"), 1,
             "server: something is there already; nothing was changed"),
            (lambda: self.init(new), 2, "--organisation is needed"),
            (lambda: self.init(new, "--organisation", ""), 2, "a name of 1 to"),
            (lambda: self.init(new, "--organisation", "X", "--agent-address", "here:1"), 1,
             'agent_address: needs an IP address and port, not "here:1"'),
            (lambda: self.init(self.state / "ca.pem" / "x", "--organisation", "X"), 1,
             "ca.pem: not a directory|ca.pem/x.*: not a directory"),
            (lambda: self.init(new, "--organisation", "X", "--bogus"), 2, "--bogus"))
        self.assertEqual(list(self.site.dir.glob("new*")), [])

    def test_ports_taken(self):
        other = self.new_site()
        other.start_server()
        for option, port in (("--agent-address", other.agent_port),
                             ("--admin-address", other.admin_port)):
            self.refused(self.serve(option, f"127.0.0.1:{port}"), 1,
                         f"in use; end what listens there or choose another with {option}")
            self.assertFalse((self.state / "listening").exists())
            self.assertFalse(self.site.ready_file.exists())
        self.site.start_server()

    def test_config(self):
        config = self.state / "server.conf"
        good = config.read_text()
        config.write_text(good + "agnet_address = 192.0.2.1:5\n")
        self.refused(self.serve(), 1, r'server.conf: line \d+: unknown key "agnet_address"')
        config.write_text(good)
        self.site.start_server()

    def test_served_already(self):
        self.site.start_server()
        self.refused(self.serve(), 1, r"already running \(pid \d+\)")
        self.assertTrue(self.site.server.expect_running())

    def test_no_state(self):
        none = self.site.dir / "none"
        self.refused(self.site.run("envwarden-server", "serve", "--state-dir", none), 1,
                     "envwarden-server init")
        self.refused(self.site.run("envwarden-server", "join-code", "create", "--state-dir", none),
                     1, "envwarden-server init")
        self.assertFalse(none.exists())

    def test_state_of_another_user(self):
        if os.getuid() != 0:
            self.skipTest("only root can give a folder away")
        os.chown(self.state, 12345, 12345)
        before = listing(self.state)
        self.refused(self.serve(), 1, "belongs to uid 12345, must belong to uid 0")
        self.refused(self.site.run("envwarden-server", "join-code", "create", "--state-dir",
                                   self.state), 1, "belongs to uid 12345")
        self.assertEqual(listing(self.state), before)
        os.chown(self.state, 0, 0)
        self.site.start_server()

    def test_administrators(self):
        site = self.site
        site.start_server()
        other = self.new_site()
        other.start_server()
        wrong = site.dir / "wrong"
        wrong.write_text("not the password\n")

        def log_in(server, ca, password):
            return site.admin("--server", f"https://127.0.0.1:{server.admin_port}", "--ca",
                              ca.server_state / "ca.pem", "login", "--user", "admin",
                              "--password-file", password)
        self.refused(site.admin("env", "list"), 2, "which server")
        self.refused(log_in(site, site, wrong), 7, "wrong user or password")
        self.refused(log_in(site, other, site.dir / "password"), 1,
                     "does not prove to be the server.*--ca")
        other.server.stop()
        self.refused(log_in(other, other, site.dir / "password"), 3, "is not reachable")
        self.assertFalse((site.dir / "admin.conf").exists())


if __name__ == "__main__":
    harness.main()
