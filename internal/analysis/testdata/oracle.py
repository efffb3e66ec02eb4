"""Writes the vectors that the tests of internal/analysis compare with, from the libraries that the field trusts.

Without arguments it writes the committed ones again. `make oracle-analysis` gives a folder and another seed, and the
tests compare with those. test/bench-analysis/python.sh makes the environment that it runs in.
"""
import json
import pathlib
import sys
import warnings

import numpy as np
from scipy import stats
from sklearn import linear_model, metrics
from tslearn.clustering import KShape
from tslearn.metrics import cdist_normalized_cc
from statsmodels.stats.multitest import multipletests
from statsmodels.tsa.stattools import adfuller, grangercausalitytests

warnings.simplefilter("ignore")
HERE = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
rng = np.random.default_rng(int(sys.argv[2]) if len(sys.argv) > 2 else 20200717)


def write(name, value):
    (HERE / name).write_text(json.dumps(value, separators=(",", ":")).replace("},{", "},\n{") + "\n")


def agreement():
    cases = []
    for n, ka, kb in [(12, 3, 3), (40, 4, 6), (100, 5, 5), (30, 1, 4), (8, 8, 3), (60, 2, 7)]:
        a = rng.integers(0, ka, n)
        b = np.where(rng.random(n) < 0.6, a % kb, rng.integers(0, kb, n))
        cases.append((a, b))
    cases += [(np.zeros(5, int), np.zeros(5, int)), (np.arange(5), np.arange(5)[::-1])]
    write("agreement.json", [dict(
        A=a.tolist(), B=b.tolist(), RI=metrics.rand_score(a, b), ARI=metrics.adjusted_rand_score(a, b),
        MI=metrics.adjusted_mutual_info_score(a, b)) for a, b in cases])


def walks():
    """Series with different memory: noise, autoregressive, random walk, trend, seasonal."""
    for m in (40, 150, 400):
        e = rng.normal(size=m)
        ar = np.zeros(m)
        for t in range(1, m):
            ar[t] = 0.7 * ar[t - 1] + e[t]
        t = np.arange(m)
        yield from (e, ar, np.cumsum(e), 0.05 * t + e, np.sin(t / 9) + 0.3 * e, 1e6 + 1e3 * np.cumsum(ar))


def adf():
    out = []
    for x in walks():
        for regression in ("c", "ct"):
            for lags in (-1, 0, 1, 4):
                kind = dict(autolag="AIC") if lags < 0 else dict(maxlag=lags, autolag=None)
                r = adfuller(x, regression=regression, **kind)
                out.append(dict(X=x.tolist(), Trend=regression == "ct", Lags=lags, Stat=float(r[0]), P=float(r[1]),
                                Used=int(r[2]), N=int(r[3]), Critical=[float(r[4][k]) for k in ("1%", "5%", "10%")]))
    seen = {}
    for case in out:  # each series is written once
        key = id(case["X"])
        case["X"] = seen.setdefault(tuple(case["X"]), len(seen))
    write("adf.json", dict(Series=[list(s) for s in seen], Cases=out))


def granger():
    out = []
    for m in (30, 120, 400):
        x, y = rng.normal(size=(2, m))
        for t in range(2, m):
            x[t] += 0.5 * x[t - 1]
            y[t] += 0.3 * y[t - 1] + 0.4 * x[t - 1] - 0.2 * x[t - 2]
        for cause, effect in ((x, y), (y, x), (1e6 + 1e4 * x, y)):
            # The library tests whether the second column causes the first.
            r = grangercausalitytests(np.column_stack([effect, cause]), [1, 2, 3, 5])
            for lag, (tests, _) in r.items():
                f, p, den, num = tests["ssr_ftest"]
                out.append(dict(Cause=cause.tolist(), Effect=effect.tolist(), Lag=int(lag), F=float(f), P=float(p),
                                Num=int(num), Den=int(den)))
    write("granger.json", out)


def discovery():
    p = np.concatenate([rng.random(20), rng.random(10) ** 6])
    reject, q, _, _ = multipletests(p, 0.05, "fdr_bh")
    write("discovery.json", dict(P=p.tolist(), Q=q.tolist(), Reject=reject.tolist()))


def ranks():
    out = []
    for n in (5, 30, 200):
        x = rng.integers(0, n // 2 + 1, n).astype(float)
        y = x + rng.normal(size=n) * n / 4
        out.append(dict(X=x.tolist(), Y=y.tolist(), Rho=float(stats.spearmanr(x, y)[0])))
    write("spearman.json", out)


def logistic():
    n = 120
    x = rng.normal(size=(n, 3))
    y = rng.random(n) < 1 / (1 + np.exp(-(0.5 + 1.5 * x[:, 0] - x[:, 1])))
    out = []
    for penalty in (0.01, 1.0, 10.0):
        m = linear_model.LogisticRegression(C=1 / penalty, tol=1e-12, max_iter=10000, solver="newton-cholesky").fit(x, y)
        p = m.predict_proba(x)[:, 1]
        out.append(dict(Penalty=penalty, Weights=m.coef_[0].tolist(), Bias=float(m.intercept_[0]),
                        AP=float(metrics.average_precision_score(y, p)), Brier=float(metrics.brier_score_loss(y, p)),
                        LogLoss=float(metrics.log_loss(y, p))))
    write("logistic.json", dict(X=x.tolist(), Y=y.tolist(), Fits=out))


def shapes():
    n, m, k = 30, 60, 3
    t = np.arange(m)
    waves = [np.sin(t / 4), (t % 20 < 6) * 1.0, (t % 30) / 30.0]
    x = np.array([np.roll(waves[i % k], rng.integers(0, 8)) + 0.25 * rng.normal(size=m) for i in range(n)])
    x = np.round((x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True), 6)
    norms = np.linalg.norm(x, axis=1)
    ncc = cdist_normalized_cc(x[:, :, None], x[:, :, None], norms1=norms, norms2=norms, self_similarity=False)
    out = dict(Series=x.tolist(), Distance=(1 - ncc[:6]).tolist(), Runs=[])
    for start in ([0, 1, 2], [3, 8, 4], [29, 13, 6]):
        model = KShape(n_clusters=k, init=x[start][:, :, None].copy()).fit(x[:, :, None])
        out["Runs"].append(dict(Start=start, Labels=model.labels_.tolist()))
    write("tslearn.json", out)


for make in (shapes, agreement, adf, granger, discovery, ranks, logistic):
    make()
