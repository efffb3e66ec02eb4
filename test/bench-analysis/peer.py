"""Runs tslearn's k-Shape on the series and starts of BenchmarkKShape and prints both side by side.

Reads what the benchmark printed from standard input; the argument is the number of cores (cores=N in its names) whose
lines are compared. test/bench-analysis/run.sh calls it.
"""
import re
import resource
import sys
import time
import warnings

import numpy as np

warnings.simplefilter("ignore")
from tslearn.clustering import KShape  # noqa: E402


def series(n, m, k):
    """The recipe of benchSeries in internal/analysis/bench_test.go."""
    u = n * m + k

    def draw():
        nonlocal u
        u = (1664525 * u + 1013904223) % 2**32
        return u / 2**32

    out = np.empty((n, m))
    t = np.arange(m)
    for i in range(n):
        shape, shift = i % k, np.floor(draw() * m / 20)
        noise = np.array([draw() for _ in range(m)])
        at = (t + shift) / m
        x = np.sin(2 * np.pi * (3 + shape) * at) + np.cos(2 * np.pi * (2 + 2 * shape) * at * at) + 12 * (noise - 0.5)
        out[i] = (x - x.mean()) / x.std(ddof=1)
    return out[:, :, None]


def checksum(labels):
    total = 0
    for label in labels:
        total = (total * 31 + int(label)) % 1000003
    return total


def compare(line, cores):
    found = re.match(r"BenchmarkKShape/(\d+)x(\d+)/k=(\d+)/cores=(\d+)", line)
    if not found or int(found[4]) != cores:
        return
    n, m, k = (int(found[i]) for i in (1, 2, 3))
    ours = {unit: float(value) for value, unit in re.findall(r"([\d.]+) ([A-Za-z/-]+)", line)}
    x = series(n, m, k)
    model = KShape(n_clusters=k, init=x[:k].copy())
    begin = time.perf_counter()
    model.fit(x)
    took = time.perf_counter() - begin
    same = "equal" if checksum(model.labels_) == ours["labels"] else "DIFFERENT"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{n:5}x{m:<5} k={k} {ours['ns/op'] / 1e6:10.1f} ms {took * 1e3:10.1f} ms {took * 1e9 / ours['ns/op']:7.0f}x  "
          f"labels {same}, iterations {ours['iterations']:.0f} and {model.n_iter_}, "
          f"peak {ours['peak-MiB']:.0f} and {peak:.0f} MiB", flush=True)


warm = series(4, 16, 2)
KShape(2, init=warm[:2].copy()).fit(warm)  # compile before the clock starts
print("series               ours       tslearn")
for entry in sys.stdin:
    compare(entry, int(sys.argv[1]))
