"""Miniature rows of every kind for the tests of features and families, with every trouble that a table can have."""

from typing import Any

import numpy as np
import pandas as pd

# The levels of `street` must be more than `features.MOST_LEVELS` among the training rows.
TRAIN, VALID = 60, 20
COLUMNS: dict[str, Any] = {
    "size": "number",
    "rooms": "number",
    "empty": "number",
    "same": "number",
    "old": "boolean",
    "town": "category",
    "street": "category",
    "only": "category",
    "nothing": "category",
    "sold": "date",
    "never": "date",
    "note": "text",
    "blank": "text",
}
NOTES = ["a red house", "the old mill by the lake", "", np.nan, "new, small, red"]


def objects(values: Any) -> np.ndarray:
    return np.array(list(values), dtype=object)


def table(rows: int = TRAIN + VALID, seed: int = 0, signal: Any = 0.0) -> pd.DataFrame:
    """Return a table of `COLUMNS`, in the types that `data.load` gives; `signal` is added to `size`."""
    rng, n = np.random.default_rng(seed), np.arange(rows)
    never = pd.DatetimeIndex([pd.NaT] * rows).astype("datetime64[ns]")
    return pd.DataFrame(
        {
            "size": np.where(n % 7 == 0, np.nan, signal + rng.normal(size=rows) / 10),
            "rooms": rng.integers(1, 5, rows).astype(float),
            "empty": np.full(rows, np.nan),
            "same": np.ones(rows),
            "old": np.where(n % 9 == 0, np.nan, n % 2),
            "town": objects([*["Rome", "Oslo", "Bern", np.nan][::-1], *rng.choice(["Rome", "Oslo", "Bern"], rows)])[
                :rows
            ],
            "street": objects(f"street {i}" for i in rng.permutation(rows)),
            "only": objects(["x"] * rows),
            "nothing": objects([np.nan] * rows),
            "sold": pd.date_range("2020-01-01", periods=rows, freq="31h").where(n % 11 > 0).astype("datetime64[ns]"),
            "never": never,
            "note": objects(NOTES[i] for i in rng.integers(0, len(NOTES), rows)),
            "blank": objects([np.nan] * rows),
        }
    )


def strange(rows: int = 5) -> pd.DataFrame:
    """Return rows to predict that hold what no training row held, and nothing at all in the last one."""
    x = table(rows, seed=9)
    x["size"] = 1e6
    x["empty"] = np.arange(rows, dtype=float)
    x["old"] = np.nan
    x["sold"] = pd.Timestamp("2150-01-01").as_unit("ns")
    x["never"] = pd.Timestamp("1990-01-01").as_unit("ns")
    x["note"] = objects(["words never seen"] * rows)
    for name in ("town", "street", "only", "nothing", "blank"):
        x[name] = objects([f"unseen {name}"] * rows)
    x.iloc[-1] = [np.nan if kind != "date" else pd.NaT for kind in COLUMNS.values()]
    return x


def arrays(kind: str, rows: int = TRAIN + VALID, seed: int = 0, signal: Any = 0.0) -> np.ndarray:
    """Return images (rows, 8, 8) or sequences (rows, 6, 2) whose level tells `signal`."""
    shape = {"image": (8, 8), "sequence": (6, 2)}[kind]
    noise = np.random.default_rng(seed).normal(size=(rows, *shape)) / 10
    level = np.broadcast_to(np.asarray(signal, dtype=float), rows).reshape(rows, *[1] * len(shape))
    return (noise + level).astype(np.float32)
