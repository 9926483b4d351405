"""A file system whose server can stop answering: a folder, shown read-only through /dev/fuse.

    stall_fs.py FOLDER POINT CONTROL

Mounts FOLDER at POINT and serves it until it is unmounted. While the file CONTROL exists nothing is
answered. Talks the kernel's protocol (linux/fuse.h) itself, so that it needs no library; one request
after the other, nothing cached. Needs the right to mount: a user namespace gives it.
"""

import ctypes
import errno
import os
import stat
import struct
import sys
import time

LOOKUP, FORGET, GETATTR, READLINK, OPEN, READ, STATFS = 1, 2, 3, 5, 14, 15, 17
RELEASE, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR = 18, 25, 26, 27, 28, 29
ACCESS, INTERRUPT, DESTROY, BATCH_FORGET = 34, 36, 38, 42
ROOT, HEADER, BUFFER = 1, 40, 1 << 17


class Served:
    def __init__(self, folder, fuse):
        self.fuse = fuse
        self.paths, self.ids = {ROOT: folder}, {folder: ROOT}
        self.files, self.lists = {}, {}
        self.next = ROOT + 1

    def number(self):
        self.next += 1
        return self.next

    def attributes(self, path):
        st = os.lstat(path)
        return struct.pack("<6Q10I", st.st_ino, st.st_size, st.st_blocks, int(st.st_atime),
                           int(st.st_mtime), int(st.st_ctime), 0, st.st_mtime_ns % 10**9,
                           st.st_ctime_ns % 10**9, st.st_mode, st.st_nlink, st.st_uid, st.st_gid,
                           0, 4096, 0)

    def lookup(self, node, body):
        path = self.paths[node] + "/" + os.fsdecode(body.rstrip(b"\0"))
        attributes = self.attributes(path)
        if path not in self.ids:
            self.ids[path] = self.number()
            self.paths[self.ids[path]] = path
        return struct.pack("<4Q2I", self.ids[path], 0, 0, 0, 0, 0) + attributes

    def opendir(self, node):
        entries = [(name, os.lstat(self.paths[node] + "/" + name))
                   for name in sorted(os.listdir(self.paths[node]))]
        handle = self.number()
        self.lists[handle] = [(os.fsencode(name), st) for name, st in entries]
        return struct.pack("<QII", handle, 0, 0)

    def readdir(self, body):
        handle, offset, size = struct.unpack_from("<QQI", body)
        out = b""
        for place, (name, st) in enumerate(self.lists[handle][offset:], offset + 1):
            entry = struct.pack("<QQII", st.st_ino, place, len(name), stat.S_IFMT(st.st_mode) >> 12)
            entry += name + b"\0" * (-len(name) % 8)
            if len(out) + len(entry) > size:
                break
            out += entry
        return out

    def answer(self, opcode, node, body):
        if opcode == INIT:
            readahead = struct.unpack_from("<3I", body)[2]
            return struct.pack("<4I2H2I2H8I", 7, 31, readahead, 0, 16, 12, 65536, 1, 16, 0,
                               *[0] * 8)
        if opcode == LOOKUP:
            return self.lookup(node, body)
        if opcode == GETATTR:
            return struct.pack("<Q2I", 0, 0, 0) + self.attributes(self.paths[node])
        if opcode == READLINK:
            return os.fsencode(os.readlink(self.paths[node]))
        if opcode == OPEN:
            handle = self.number()
            self.files[handle] = os.open(self.paths[node], os.O_RDONLY)
            return struct.pack("<QII", handle, 1, 0)  # 1: not through the page cache
        if opcode == READ:
            handle, offset, size = struct.unpack_from("<QQI", body)
            return os.pread(self.files[handle], size, offset)
        if opcode == RELEASE:
            os.close(self.files.pop(struct.unpack_from("<Q", body)[0]))
            return b""
        if opcode == OPENDIR:
            return self.opendir(node)
        if opcode == READDIR:
            return self.readdir(body)
        if opcode == RELEASEDIR:
            del self.lists[struct.unpack_from("<Q", body)[0]]
            return b""
        if opcode == STATFS:
            return struct.pack("<5Q10I", *[0] * 5, 4096, 255, 4096, *[0] * 7)
        if opcode in (FLUSH, ACCESS):
            return b""
        raise OSError(errno.ENOSYS, "not served")

    def serve(self, control):
        while True:
            try:
                request = os.read(self.fuse, BUFFER)
            except OSError as error:
                if error.errno == errno.ENODEV:  # unmounted
                    return
                if error.errno in (errno.ENOENT, errno.EINTR):
                    continue
                raise
            while os.path.exists(control):
                time.sleep(0.02)
            _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
            if opcode in (FORGET, BATCH_FORGET, INTERRUPT, DESTROY):
                continue
            code, out = 0, b""
            try:
                out = self.answer(opcode, node, request[HEADER:])
            except OSError as error:
                code = error.errno or errno.EIO
            try:
                os.write(self.fuse, struct.pack("<IiQ", 16 + len(out), -code, unique) + out)
            except OSError as error:
                if error.errno != errno.ENOENT:  # who asked has gone
                    raise


def main():
    folder, point, control = sys.argv[1:]
    fuse = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={fuse},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
    if libc.mount(b"stall", point.encode(), b"fuse.stall", ctypes.c_ulong(0), options.encode()) < 0:
        sys.exit(f"mount: {os.strerror(ctypes.get_errno())}")
    Served(folder, fuse).serve(control)


if __name__ == "__main__":
    main()
