"""A self-report as somebody would forge it: hand-made messages on the agent's local socket.

    report_client.py SOCKET PREFIX PROOF [WORD=VALUE...]

PROOF is the directory whose descriptor is passed, "path-only" for one of PREFIX opened without
reading, or "none" for a byte without a descriptor. Words: device, inode, owner, prefix,
renamed_from, package of the facts; packages=N of it; end (what the end counts); chunk=BYTES of
rubbish instead of facts; pieces=early to send some before the proof; twice=1 to report again and
prove nothing. Prints one line: "end", "closed", or "error CODE TEXT".
"""

import array
import os
import socket
import struct
import sys


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def zigzag(n):
    return n << 1 if n >= 0 else -n * 2 - 1


def frame(payload):
    return struct.pack(">I", len(payload)) + payload


def fields(data):
    """(number, value) of a message, as far as its kinds are varints and bytes."""
    at = 0

    def number():
        nonlocal at
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return n
    while at < len(data):
        key = number()
        if key & 7 == 0:
            yield key >> 3, number()
        else:
            size = number()
            yield key >> 3, data[at:at + size]
            at += size


def report_frames(word, prefix, info):
    person = field(2, zigzag(int(word("owner", info.st_uid))))
    facts = (field(1, word("prefix", prefix)) + field(2, int(word("device", info.st_dev)))
             + field(3, int(word("inode", info.st_ino))) + field(5, person)
             + field(14, word("renamed_from", "")))
    package = (field(1, "conda") + field(2, word("package", "forged")) + field(3, "1.0")
               + field(4, "0") + field(6, "conda-forge") + field(7, "linux-64"))
    n = int(word("packages", 1))
    pieces = b"".join(frame(field(34, field(1, package) * min(4000, n - at)))
                      for at in range(0, n, 4000))
    return frame(field(33, facts)) + pieces + frame(field(35, field(1, int(word("end", n)))))


class Agent:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.id = 0

    def send(self, kind, message):
        self.socket.sendall(frame(field(1, self.id) + field(kind, message)))

    def receive(self):
        def exactly(n):
            data = b""
            while len(data) < n:
                piece = self.socket.recv(n - len(data))
                if not piece:
                    raise EOFError
                data += piece
            return data
        return dict(fields(exactly(struct.unpack(">I", exactly(4))[0])))

    def prove(self, prefix, how):
        if how == "none":
            self.socket.sendall(b"x")
            return
        flags = os.O_PATH if how == "path-only" else os.O_RDONLY
        fd = os.open(prefix if how == "path-only" else how, flags | os.O_DIRECTORY)
        self.socket.sendmsg([b"f"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                      array.array("i", [fd]))])
        os.close(fd)


def report(agent, prefix, proof, words):
    def word(name, otherwise):
        return words.get(name, otherwise)
    agent.id += 1
    agent.send(15, field(1, prefix))
    if word("pieces", "") == "early":
        agent.send(16, field(1, b"x"))
    answer = agent.receive()
    if 50 in answer:
        agent.prove(prefix, proof)
        try:
            info = os.stat(prefix)
        except OSError:
            info = os.stat(proof)
        data = (b"\0" * int(words["chunk"]) if "chunk" in words
                else report_frames(word, prefix, info))
        for at in range(0, len(data), 49152):
            agent.send(16, field(1, data[at:at + 49152]))
        agent.send(17, b"")
        answer = agent.receive()
    if 39 in answer:
        error = dict(fields(answer[39]))
        code = error[1] >> 1 ^ -(error[1] & 1)
        return f"error {code} {error.get(2, b'').decode()}"
    return "end" if 40 in answer else f"answer {sorted(answer)}"


def main():
    path, prefix, proof = sys.argv[1:4]
    words = dict(word.split("=", 1) for word in sys.argv[4:])
    try:
        agent = Agent(path)
        said = report(agent, prefix, proof, words)
        if "twice" in words:
            said = report(agent, prefix, "none", words)
    except (EOFError, ConnectionError):
        said = "closed"
    print(said)


if __name__ == "__main__":
    main()
