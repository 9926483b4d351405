"""A member who wants the agent's socket for himself alone.

    socket_flood.py SOCKET          connections that say half a length, garbage, or a length of
                                    gigabytes, again as soon as they are closed; until killed.
                                    Prints a line when it has been refused or closed once
    socket_flood.py --serve SOCKET  a socket of his own, where he believes to be asked: prints what
                                    is sent to it
"""

import os
import selectors
import socket
import sys

CONNECTIONS = 300
WORDS = (b"\0\0", b"\xff\xff\xff\xff" * 16, b"GET / HTTP/1.1\r\n\r\n", b"")


def flood(path):
    waiting = selectors.DefaultSelector()
    told, turn = False, 0
    while True:
        while len(waiting.get_map()) < CONNECTIONS:
            peer = socket.socket(socket.AF_UNIX)
            peer.setblocking(False)
            turn += 1
            try:
                peer.connect(path)
                peer.send(WORDS[turn % len(WORDS)])
            except OSError:
                peer.close()
                break
            waiting.register(peer, selectors.EVENT_READ)
        for key, _ in waiting.select(0.05):
            try:
                more = key.fileobj.recv(65536)
            except OSError:
                more = b""
            if not more:
                waiting.unregister(key.fileobj)
                key.fileobj.close()
                if not told:
                    print("flooding", flush=True)
                    told = True


def serve(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    os.chmod(path, 0o777)
    server.listen(16)
    print("serving", flush=True)
    while True:
        peer, _ = server.accept()
        print(f"heard {peer.recv(65536)!r}", flush=True)


if sys.argv[1] == "--serve":
    serve(sys.argv[2])
flood(sys.argv[1])
