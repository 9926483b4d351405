#!/usr/bin/env python3
"""What the line in a base costs other starts of its Python: with it and without, in turns."""

import pathlib
import subprocess
import tempfile
import time

import bench
import gate_base

STARTS = 300
BUDGET = 1.05


def start_s(python, *words):
    began = time.perf_counter()
    subprocess.run([python, *words], check=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - began


def main():
    pieces = bench.ROOT / "packaging" / "hooks" / "base"
    with tempfile.TemporaryDirectory() as folder:
        bases = [gate_base.make_base(pathlib.Path(folder) / name) for name in ("with", "without")]
        for name in ("envwarden.pth", "_envwarden_gate.py"):
            text = (pieces / name).read_text().replace("@ENVWARDEN@", '"/bin/false"')
            (gate_base.site_packages(bases[0]) / name).write_text(text)
        pythons = [base / "bin" / "python" for base in bases]
        times = ([], [])
        for turn in range(STARTS):
            for i in (0, 1) if turn % 2 else (1, 0):
                times[i].append(start_s(pythons[i], "-I", "-c", "pass"))
    with_line, without = (bench.median(t) * 1000 for t in times)
    bench.row("other starts of a base's Python, with the gate's line, against without", with_line,
              without, "ms", f"<= {BUDGET} x", with_line <= BUDGET * without)


if __name__ == "__main__":
    main()
