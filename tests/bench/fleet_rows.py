"""Rows of a fleet, written straight into a server's store that nobody serves: by way of the journal
a big fleet would take an hour.
"""

import contextlib
import sqlite3
import time
import uuid

CHANNEL = "https://conda.anaconda.org/conda-forge"


def _packages(db, count, names):
    """So many packages, `names` different ones, each in several versions. Their numbers."""
    now_ms = int(time.time() * 1000)
    db.execute("INSERT INTO channel (id, url) VALUES (1, ?)", (CHANNEL,))
    db.executemany("INSERT INTO package_name (id, name) VALUES (?, ?)",
                   ((i + 1, f"package-{i}" if i else "openssl") for i in range(names)))
    db.executemany(
        "INSERT INTO package (id, def_key, manager, name_id, version, build, build_number,"
        " channel_id, subdir, license, url, size, env_count, first_seen_ms)"
        " VALUES (?, ?, 'conda', ?, ?, 'h0_0', 0, 1, 'linux-64', 'MIT', '', 1, 1, ?)",
        ((i + 1, uuid.uuid4().bytes, i % names + 1, f"{i // names + 1}.{i % 7}.0", now_ms)
         for i in range(count)))


def fill(path, environments, each, packages=20000, names=4000, users=200):
    """Environments of `each` packages on the machines that are there, in turn. Returns their ids.

    Of the packages most are shared with others, in other versions: few environments are equal.
    """
    now_ms = int(time.time() * 1000)
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        machines = [row[0] for row in db.execute("SELECT id FROM machine ORDER BY id")]
        ids = [uuid.uuid4() for _ in range(environments)]
        _packages(db, packages, names)
        db.executemany(
            "INSERT INTO env (id, uuid, machine_id, path, name, user, uid, platform, tool, deleted,"
            " archived, package_count, created_ms, last_change_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, 1000, 'linux-64', 'conda', 0, 0, ?, ?, ?)",
            ((i + 1, ids[i].bytes, machines[i % len(machines)], f"/home/u{i % users}/envs/e{i}",
              f"e{i}", f"u{i % users}", each, now_ms, now_ms) for i in range(environments)))
        db.executemany(
            "INSERT INTO env_pkg (env_id, pkg_id, requested) VALUES (?, ?, 0)",
            ((i + 1, k + (i // 10 + i * (k // 40) // 97) % (packages // names) * names + 1)
             for i in range(environments)
             for k in range(i % 10 * 40, i % 10 * 40 + each)))
    return ids
