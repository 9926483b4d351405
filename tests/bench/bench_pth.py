#!/usr/bin/env python3
"""What the line in a base costs other starts of its Python: with it and without, in turns."""

import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

import gate_base  # noqa: E402

STARTS = 300
BUDGET = 1.05


def start_s(python, *words):
    began = time.perf_counter()
    subprocess.run([python, *words], check=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - began


def main():
    pieces = ROOT / "packaging" / "hooks" / "base"
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
    with_line, without = (statistics.median(t) for t in times)
    ratio = with_line / without
    fine = "ok" if ratio <= BUDGET else "MISSED"
    print(f"| `python -I -c pass` in a base with the gate's line, {STARTS} starts "
          f"| {with_line * 1000:.2f} ms | without: {without * 1000:.2f} ms | {ratio:.3f} | "
          f"<= {BUDGET} x | {fine} |")


if __name__ == "__main__":
    main()
