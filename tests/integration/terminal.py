"""A person at a terminal: an interactive shell that is typed to, line by line, at its prompts."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time

PROMPT = re.compile(r"ready([\d.]*)> ")  # with a number where a shell draws one many times
ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-Z\\-_=>])|\r|⏎ *")  # fish marks where a line was open
ROWS, COLUMNS = 24, 200


class Terminal:
    """The shell must prompt with "ready> " alone. What it shows is in `text`, free of escapes."""

    def __init__(self, words, env, cwd, patience_s):
        self.raw = b""
        self.typed_at = 0  # so many prompts
        self.deadline = time.monotonic() + patience_s
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(["setsid", "-c", "-w", *words], stdin=slave, stdout=slave,
                                        stderr=slave, env={**env, "TERM": "dumb"}, cwd=cwd,
                                        start_new_session=True)
        os.close(slave)

    @property
    def text(self):
        return ESCAPES.sub("", self.raw.decode(errors="replace"))

    def read(self):
        """More of what it shows; False: it has ended."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(self.text)
        if not select.select([self.master], [], [], left)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # nobody has it open any more
            return False
        self.raw += data
        return bool(data)

    def prompts(self):
        numbers = PROMPT.findall(self.text)
        return len(set(numbers)) if any(numbers) else len(numbers)

    def type(self, line):
        """Waits for a prompt that is new, and types."""
        while self.prompts() <= self.typed_at:
            if not self.read():
                raise EOFError(self.text)
        self.typed_at = self.prompts()
        os.write(self.master, line.encode() + b"\n")

    def finish(self):
        """All that it shows until it ends."""
        while self.read():
            pass
        return self.process.wait(max(1, self.deadline - time.monotonic()))

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.master)
