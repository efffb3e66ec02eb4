"""Times tslearn's k-Shape on the series of BenchmarkKShape (internal/analysis/bench_test.go), from the same start.

    .cache/oracle/bin/python test/bench-analysis/peer.py 60x1200x3 500x2000x8

The packages are those of internal/analysis/testdata/requirements.txt. Set OMP_NUM_THREADS, OPENBLAS_NUM_THREADS and
NUMBA_NUM_THREADS to 1 for the single-thread figure. "labels" is the check sum that the Go benchmark prints.
"""
import resource
import sys
import time

import numpy as np
from tslearn.clustering import KShape


def series(n, m, k):
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


KShape(2, init=series(4, 16, 2)[:2]).fit(series(4, 16, 2))  # compile before the clock starts
for size in sys.argv[1:]:
    n, m, k = map(int, size.split("x"))
    x = series(n, m, k)
    model = KShape(n_clusters=k, init=x[:k].copy())
    begin = time.perf_counter()
    model.fit(x)
    took = time.perf_counter() - begin
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"tslearn {n}x{m}/k={k} {took:.3f} s {model.n_iter_} iterations {checksum(model.labels_)} labels "
          f"{model.inertia_:.6f} inertia {rss:.0f} MiB peak", flush=True)
