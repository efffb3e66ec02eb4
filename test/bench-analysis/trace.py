"""Writes UCR Trace, which comes inside the tslearn package, with what tslearn's k-Shape makes of it from ten starts, to
.cache/vectors/trace.json for TestTraceOracle. `make oracle-analysis` calls it."""
import json
import pathlib
import warnings

import numpy as np

warnings.simplefilter("ignore")
from tslearn.clustering import KShape  # noqa: E402
from tslearn.datasets import CachedDatasets  # noqa: E402
from tslearn.preprocessing import TimeSeriesScalerMeanVariance  # noqa: E402

x, y, more_x, more_y = CachedDatasets().load_dataset("Trace")
x = TimeSeriesScalerMeanVariance().fit_transform(np.concatenate([x, more_x]))
y = np.concatenate([y, more_y]).astype(int)
rng = np.random.default_rng(1)
runs = []
for _ in range(10):
    start = rng.choice(len(x), 4, replace=False)
    model = KShape(4, init=x[start].copy()).fit(x)
    runs.append(dict(Start=start.tolist(), Labels=model.labels_.tolist()))
pathlib.Path(".cache/vectors/trace.json").write_text(json.dumps(dict(X=x[:, :, 0].tolist(), Y=y.tolist(), Runs=runs)))
