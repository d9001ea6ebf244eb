"""Makes the three Parquet files beside this script from the nannyml wheel.

    $(tests/tools/path python) examples/quickstart/data/make.py

The same wheel, seed and library versions give the same rows. README.md says
where the data comes from; check.py says what must hold of it.
"""

import hashlib
import io
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

WHEEL = "nannyml-0.13.1-py3-none-any.whl"
WHEEL_SHA256 = "cf5f4a33489834ae6773cb1baa33a0f98c0a3ee6ed9b43049478b25ce22fe869"
SEED = 7
TRAINING_ROWS, TRAFFIC_ROWS = 15_000, 10_000

# Census column -> feature name. MIG (moved within a year) chooses the second
# population and is therefore never an input; nor are race and ancestry.
FEATURES = {
    "AGEP": "age",
    "SCHL": "schooling",
    "MAR": "marital_status",
    "RELP": "relationship",
    "DIS": "disability",
    "ESP": "parents_employment",
    "CIT": "citizenship",
    "MIL": "military_service",
    "DREM": "cognitive_difficulty",
    "SEX": "sex",
}
WHOLE_NUMBERS = {"AGEP", "SCHL"}
HERE = pathlib.Path(__file__).resolve().parent


def wheel_bytes() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, "nannyml==0.13.1"],
            check=True,
        )
        content = (pathlib.Path(folder) / WHEEL).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != WHEEL_SHA256:
        raise SystemExit(f"{WHEEL}: sha256 is {found}, expected {WHEEL_SHA256}")
    return content


def read(wheel: zipfile.ZipFile, name: str) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(wheel.read(f"nannyml/datasets/data/employment_MA_{name}.pq")))


def typed(rows: pd.DataFrame) -> pd.DataFrame:
    """Ages and schooling are numbers; every other census code is a name."""
    out = pd.DataFrame(index=rows.index)
    for column in FEATURES:
        out[column] = rows[column].astype("int64") if column in WHOLE_NUMBERS else rows[column].astype(str)
    return out


def days(rows: pd.DataFrame, random: np.random.Generator) -> pd.Series:
    """A day of the survey's year for each person. The survey publishes the year alone."""
    start = pd.to_datetime(rows["year"].astype(str) + "-01-01", utc=True)
    return (start + pd.to_timedelta(random.integers(0, 365, len(rows)), unit="D")).astype("datetime64[us, UTC]")


def person_ids(rows: pd.DataFrame) -> pd.Series:
    return "p" + rows["id"].astype(str).str.zfill(6)


def write(table: pd.DataFrame, order: list[str], name: str) -> None:
    table = table.sort_values(order, kind="stable").reset_index(drop=True)
    arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    strings = [pa.field(f.name, pa.string()) if pa.types.is_large_string(f.type) else f for f in arrow.schema]
    pq.write_table(arrow.cast(pa.schema(strings)), HERE / name, compression="zstd", compression_level=19)
    print(f"{name}: {len(table)} rows, {(HERE / name).stat().st_size:,} bytes")


def people(reference: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    rows = reference.iloc[np.sort(random.choice(len(reference), TRAINING_ROWS, replace=False))]
    out = typed(rows)
    out.insert(0, "person_id", person_ids(rows))
    out.insert(1, "observed_at", days(rows, random))
    out.insert(2, "loaded_at", out["observed_at"] + pd.Timedelta(days=1))
    out["employed"] = rows["employed"].astype("int64")
    return out


def traffic(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """What an application sends, so columns carry the names of the features."""
    out = typed(rows).rename(columns=FEATURES)
    out.insert(0, "person_id", person_ids(rows))
    out.insert(1, "observed_at", days(rows, random))
    out["employed"] = rows["employed"].astype("int64")
    return out


def main() -> None:
    wheel = zipfile.ZipFile(io.BytesIO(wheel_bytes()))
    reference = read(wheel, "reference")
    later = read(wheel, "analysis").merge(read(wheel, "analysis_target"), on="id", validate="one_to_one")
    random = np.random.default_rng(SEED)

    write(people(reference, random), ["observed_at", "person_id"], "people.parquet")
    sample = later.iloc[np.sort(random.choice(len(later), TRAFFIC_ROWS, replace=False))]
    write(traffic(sample, random), ["observed_at", "person_id"], "traffic_2016_2018.parquet")
    movers = later[(later["year"] == 2018) & (later["MIG"].astype(str) != "1")]
    write(traffic(movers, random), ["observed_at", "person_id"], "traffic_movers_2018.parquet")


if __name__ == "__main__":
    main()
