"""scikit-learn's figures for the split of `employment.rs`.

    python employment.py DIRECTORY    (needs pandas, pyarrow, scikit-learn)
"""

import sys

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

directory = sys.argv[1]
reference = pd.read_parquet(f"{directory}/employment_MA_reference.pq")
later = pd.read_parquet(f"{directory}/employment_MA_analysis.pq")
truth = pd.read_parquet(f"{directory}/employment_MA_analysis_target.pq")
later = later.merge(truth, on="id")
later = later[later.year == 2016]
categories = [
    "SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "ANC", "NATIVITY", "DEAR", "DEYE", "DREM", "SEX", "RAC1P",
]
encode = make_column_transformer(
    (StandardScaler(), ["AGEP"]),
    (OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories),
)
for name, model in [
    ("logistic", LogisticRegression(max_iter=2000)),
    ("mlp", MLPClassifier((32, 16), max_iter=20, batch_size=256, alpha=1e-5, random_state=7)),
]:
    pipeline = make_pipeline(encode, model).fit(reference, reference.employed)
    scores = pipeline.predict_proba(later)[:, 1]
    print(
        f"{name:9} on 2016: auc {roc_auc_score(later.employed, scores):.5f}"
        f" log_loss {log_loss(later.employed, scores):.5f} accuracy {accuracy_score(later.employed, scores >= 0.5):.4f}"
    )
