"""Runs tslearn's k-Shape once on one case SERIESxPOINTSxCLUSTERSxTHREADS, from the start that ours takes, and prints the
timing as JSON. The number of threads is set by the environment. bench-analysis calls it."""
import json
import resource
import sys
import time
import warnings

import numpy as np

warnings.simplefilter("ignore")
from tslearn.clustering import KShape  # noqa: E402


def series(n, m, k):
    """The recipe of series in kshape.go."""
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


n, m, k, _ = (int(v) for v in sys.argv[1].split("x"))
warm = series(4, 16, 2)
KShape(2, init=warm[:2].copy()).fit(warm)  # compile before the clock starts
x = series(n, m, k)
model = KShape(n_clusters=k, init=x[:k].copy())
begin, used = time.perf_counter(), time.process_time()
model.fit(x)
took, cpu = time.perf_counter() - begin, time.process_time() - used
print(json.dumps(dict(Seconds=took, CPU=cpu, PeakMiB=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, Iterations=int(model.n_iter_),
                      Labels=[int(v) for v in model.labels_])))
