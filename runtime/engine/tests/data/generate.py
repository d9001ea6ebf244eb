"""Makes the stored cases in this directory from pandas, SciPy and scikit-learn.

    python3 -m venv /tmp/venv
    /tmp/venv/bin/pip install numpy pandas scipy scikit-learn onnx
    /tmp/venv/bin/python generate.py

The cases are what independent, widely used code answers; the tests hold our
own answers against them.
"""

import json
import pathlib

import numpy as np
import pandas as pd
from onnx import TensorProto, helper
from scipy import stats
from scipy.spatial.distance import jensenshannon
from scipy.stats import _ksstats
from sklearn import metrics
from sklearn.linear_model import LogisticRegression, Ridge

HERE = pathlib.Path(__file__).parent
random = np.random.default_rng(20261124)


def write(name, value):
    text = json.dumps(value, indent=None, separators=(",", ":"))
    (HERE / name).write_text(text.replace('},{', '},\n{') + "\n")


def joins():
    """Several dated and corrected rows per entity, in no order, with ties."""
    entities = ["a", "b", "c", "d"]
    source = pd.DataFrame({
        "entity": random.choice(entities[:3], 60),
        "event_time": random.integers(0, 40, 60) * 10,
    })
    # Some rows are known at once, some late: a correction has the event time
    # of the row it corrects and a later created time.
    source["created_time"] = source.event_time + random.choice([0, 0, 5, 50, 150], 60)
    source["value"] = np.arange(60)
    spine = pd.DataFrame({
        "entity": random.choice(entities, 80),
        "event_time": random.integers(0, 90, 80) * 5,
    })

    def asof(spine, source, ttl):
        order = ["event_time", "created_time"]
        joined = pd.merge_asof(
            spine.reset_index().sort_values("event_time", kind="stable"),
            source.sort_values(order, kind="stable"),
            on="event_time", by="entity", tolerance=ttl,
        )
        return joined.set_index("index").value.reindex(spine.index)

    def as_known(spine, source, ttl):
        rows = [asof(spine.loc[[i]], source[source.created_time <= spine.event_time[i]], ttl) for i in spine.index]
        return pd.concat(rows)

    cases = []
    for ttl in [None, 30, 100]:
        for known, join in [(False, asof), (True, as_known)]:
            found = join(spine, source, ttl)
            cases.append({
                "ttl": ttl, "as_known": known,
                "expected": [None if np.isnan(v) else int(v) for v in found],
            })
    write("join.json", {
        "source": source.to_dict("list"), "spine": spine.to_dict("list"), "cases": cases,
    })


def psi(expected, actual):
    p = np.clip(expected / expected.sum(), 1e-4, None)
    q = np.clip(actual / actual.sum(), 1e-4, None)
    return float(np.sum((q - p) * np.log(q / p)))


def decile_counts(baseline, current):
    edges = np.unique(np.quantile(baseline, np.linspace(0, 1, 11)))
    edges[0], edges[-1] = -np.inf, np.inf
    return np.histogram(baseline, edges)[0], np.histogram(current, edges)[0]


def survival_of_d(n, d):
    """SciPy's value, and that of its exact routine where it takes an expansion."""
    case = {"n": n, "d": float(d), "p": float(stats.kstwo.sf(d, n))}
    if 140 < n <= 5000 and n * d * d < 2.2:
        case["exact"] = float(1 - _ksstats._kolmogn_DMTW(n, d, cdf=True))
    return case


def drifts():
    numeric = []
    pairs = {
        "same": (random.normal(0, 1, 200), random.normal(0, 1, 150)),
        "shifted": (random.normal(0, 1, 300), random.normal(0.5, 1, 120)),
        "wider": (random.normal(0, 1, 120), random.normal(0, 2, 250)),
        "skewed": (random.exponential(1, 200), random.exponential(1.3, 200)),
        "ties": (random.integers(0, 40, 250), random.integers(3, 44, 180)),
        "apart": (random.normal(0, 1, 60), random.normal(9, 1, 40)),
        "tiny": (random.normal(0, 1, 7), random.normal(1, 1, 5)),
    }
    for name, (baseline, current) in pairs.items():
        baseline, current = np.round(baseline, 4) + 0.0, np.round(current, 4) + 0.0
        ks = stats.ks_2samp(baseline, current, method="asymp")
        cells = decile_counts(baseline, current)
        numeric.append({
            "name": name, "baseline": baseline.tolist(), "current": current.tolist(),
            "psi": psi(*cells), "jensen_shannon": float(jensenshannon(*cells, base=2)),
            "ks": float(ks.statistic), "ks_p": float(ks.pvalue),
            "wasserstein": float(stats.wasserstein_distance(baseline, current) / np.std(baseline, ddof=1)),
        })
    categorical = []
    tables = {
        "same": ([120, 300, 80, 40], [118, 310, 77, 41]),
        "moved": ([120, 300, 80, 40], [300, 120, 10, 90]),
        "new and gone": ([500, 200, 0, 10], [480, 0, 150, 9]),
        "two values": ([900, 100], [850, 190]),
    }
    for name, (baseline, current) in tables.items():
        a, b = np.array(baseline, float), np.array(current, float)
        chi2 = stats.chi2_contingency([a, b], correction=False)
        categorical.append({
            "name": name, "baseline": baseline, "current": current,
            "psi": psi(a, b), "jensen_shannon": float(jensenshannon(a, b, base=2)),
            "chi2": float(chi2.statistic), "chi2_p": float(chi2.pvalue),
            "cramers_v": float(np.sqrt(chi2.statistic / (a.sum() + b.sum()))),
        })
    survival = []
    for n in [1, 2, 5, 10, 50, 140, 141, 300, 1000, 5000, 20000, 100000, 300000]:
        for z in [0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.45, 1.6, 2.0, 2.6, 4.0]:
            d = z / np.sqrt(n)
            if d < 1.2:
                survival.append(survival_of_d(n, d))
    write("drift.json", {"numeric": numeric, "categorical": categorical, "survival": survival})


def ece(labels, scores):
    bins = np.minimum((scores * 10).astype(int), 9)
    return float(sum(
        abs(labels[bins == b].mean() - scores[bins == b].mean()) * (bins == b).mean()
        for b in range(10) if (bins == b).any()
    ))


def measures():
    classification = []
    for name, digits in [("fine", 6), ("ties", 1), ("many ties", 0)]:
        labels = random.integers(0, 2, 120)
        scores = np.round(np.clip(labels * 0.25 + random.uniform(0, 0.75, 120), 0, 1), digits)
        classification.append({
            "name": name, "labels": labels.tolist(), "scores": scores.tolist(),
            "auc": float(metrics.roc_auc_score(labels, scores)),
            "log_loss": float(metrics.log_loss(labels, scores)),
            "accuracy": float(metrics.accuracy_score(labels, scores >= 0.5)),
            "calibration_error": ece(labels, scores),
        })
    truth = np.round(random.normal(10, 3, 80), 3)
    guess = np.round(truth + random.normal(0.2, 1, 80), 3)
    regression = {
        "labels": truth.tolist(), "predictions": guess.tolist(),
        "rmse": float(np.sqrt(metrics.mean_squared_error(truth, guess))),
        "mae": float(metrics.mean_absolute_error(truth, guess)),
        "r2": float(metrics.r2_score(truth, guess)),
    }
    write("metrics.json", {"classification": classification, "regression": regression})


def trainings():
    """Ridge regressions on two numbers, one of them with gaps, and a category."""
    rows, l2 = 300, 1e-3
    x1 = np.round(random.normal(40, 12, rows), 3)
    x2 = np.round(random.exponential(2, rows), 3)
    colour = random.choice(["red", "green", "blue"], rows, p=[0.6, 0.3, 0.1])
    missing = random.uniform(size=rows) < 0.1
    score = (x1 - 40) / 10 - 0.5 * x2 + np.where(colour == "red", 1.0, -0.5) + random.logistic(size=rows)
    labels = (score > 0).astype(int)
    amounts = np.round(score + x1, 3)

    gaps = np.where(missing, np.nan, x2)
    filled = np.where(missing, np.nanmean(gaps), gaps)
    # The deviation is that of the rows that have a value.
    columns = [(x1 - x1.mean()) / x1.std(), (filled - filled.mean()) / np.nanstd(gaps)]
    columns += [(colour == value).astype(float) for value in ["blue", "green", "red"]]
    x = np.column_stack(columns)
    logistic = LogisticRegression(C=1 / (rows * l2), tol=1e-12, max_iter=10_000).fit(x, labels)
    linear = Ridge(alpha=rows * l2, tol=1e-12).fit(x, amounts)
    write("train.json", {
        "l2": l2, "x1": x1.tolist(), "x2": [None if np.isnan(v) else float(v) for v in gaps],
        "colour": colour.tolist(), "label": labels.tolist(), "amount": amounts.tolist(),
        "probabilities": logistic.predict_proba(x)[:, 1].tolist(), "predictions": linear.predict(x).tolist(),
    })


def foreign_models():
    """Models as other tools write them: one matrix in, and what zipmap gives."""
    matrix = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 3])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 2])
    constants = [
        helper.make_tensor("w", TensorProto.FLOAT, [3, 2], [1, -1, 0.5, 2, 0, 3]),
        helper.make_tensor("b", TensorProto.FLOAT, [2], [0.25, -0.25]),
    ]
    dense = helper.make_node("Gemm", ["features", "w", "b"], ["scores"])
    save("foreign.onnx", [dense], [matrix], [scores], constants)

    maps = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    )
    zipped = helper.make_node("ZipMap", ["scores"], ["probabilities"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])
    save("zipmap.onnx", [dense, zipped], [matrix], [helper.make_value_info("probabilities", maps)], constants)


def save(name, nodes, inputs, outputs, constants):
    graph = helper.make_graph(nodes, "foreign", inputs, outputs, constants)
    operators = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    model = helper.make_model(graph, opset_imports=operators, ir_version=8)
    (HERE / name).write_bytes(model.SerializeToString())


foreign_models()
joins()
drifts()
measures()
trainings()
