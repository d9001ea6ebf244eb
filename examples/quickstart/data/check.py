"""States what must hold of the sample, with tools that are not ours.

    $(tests/tools/path python) examples/quickstart/data/check.py

Prints the figures; fails when the sample no longer tells the truth of the
whole data set: a useful model, a calm first act, a shifted second one.
"""

import pathlib

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from make import FEATURES, WHOLE_NUMBERS

HERE = pathlib.Path(__file__).resolve().parent
NUMBERS = [FEATURES[column] for column in FEATURES if column in WHOLE_NUMBERS]
NAMES = [FEATURES[column] for column in FEATURES if column not in WHOLE_NUMBERS and column != "SEX"]


def psi(baseline: pd.Series, current: pd.Series, numeric: bool) -> float:
    """Population stability index over the baseline's deciles, or its categories.

    An empty cell counts as half a row, so that the logarithm is finite.
    """
    if numeric:
        edges = np.unique(np.quantile(baseline, np.linspace(0, 1, 11)))[1:-1]
        cells = range(len(edges) + 1)
        baseline, current = (pd.Series(np.searchsorted(edges, s, side="right")) for s in (baseline, current))
    else:
        cells = sorted(set(baseline) | set(current))
    p, q = (s.value_counts().reindex(cells, fill_value=0).clip(lower=0.5) / len(s) for s in (baseline, current))
    return float(((q - p) * np.log(q / p)).sum())


def main() -> None:
    people = pd.read_parquet(HERE / "people.parquet").rename(columns=FEATURES)
    calm = pd.read_parquet(HERE / "traffic_2016_2018.parquet")
    movers = pd.read_parquet(HERE / "traffic_movers_2018.parquet")

    first, held_out = people.iloc[: int(len(people) * 0.8)], people.iloc[int(len(people) * 0.8) :]
    encoder = make_column_transformer(
        (StandardScaler(), NUMBERS), (OneHotEncoder(handle_unknown="ignore"), NAMES)
    )
    model = make_pipeline(encoder, LogisticRegression(max_iter=1000)).fit(first, first["employed"])
    for label, rows in (("held out 2015", held_out), ("2016-2018", calm), ("movers 2018", movers)):
        auc = roc_auc_score(rows["employed"], model.predict_proba(rows)[:, 1])
        print(f"auc  {label:14} {auc:.4f}  ({len(rows)} rows, {rows['employed'].mean():.1%} employed)")
        assert label == "movers 2018" or auc > 0.84, f"AUC on {label} is {auc:.3f}"

    for feature in NUMBERS + NAMES + ["sex"]:
        numeric = feature in NUMBERS
        one, two = (psi(people[feature], rows[feature], numeric) for rows in (calm, movers))
        print(f"psi  {feature:20} act 1 {one:.4f}   act 2 {two:.4f}")
        assert one < 0.02, f"act 1 drifts in {feature}: {one:.3f}"
        assert feature != "age" or two > 0.3, f"act 2 does not drift in age: {two:.3f}"


if __name__ == "__main__":
    main()
