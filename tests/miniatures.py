"""Miniature rows of every kind for the tests of features and families, with every trouble that a table can have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from workbench.data.image_column import ImageArray

# The levels of `street` must be more than `features.MAX_LEVELS` among the training rows.
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
ALBUM: dict[str, Any] = {
    "size": "number",
    "old": "boolean",
    "town": "category",
    "street": "category",
    "note": "text",
    "photo": "image",
    "back": "image",
}
NOTES = ["a red house", "the old mill by the lake", "", np.nan, "new, small, red"]


def objects(values: Any) -> np.ndarray:
    return np.array(list(values), dtype=object)


def table(rows: int = TRAIN + VALID, seed: int = 0, signal: Any = 0.0) -> pd.DataFrame:
    """Return a table of `COLUMNS`, in the types that `data.load` gives; size, rooms, old and town tell `signal`."""
    rng, n = np.random.default_rng(seed), np.arange(rows)
    told = signal + rng.normal(size=rows) / 3
    towns = np.array(["Rome", "Oslo", "Bern"])[np.digitize(told, [-0.6, 0.6])]
    never = pd.DatetimeIndex([pd.NaT] * rows).astype("datetime64[ns]")
    return pd.DataFrame(
        {
            "size": np.where(n % 7 == 0, np.nan, told),
            "rooms": np.clip(np.round(3 + 2 * told), 1, 6),
            "empty": np.full(rows, np.nan),
            "same": np.ones(rows),
            "old": np.where(n % 9 == 0, np.nan, told > 0),
            "town": objects(np.where(n % 13 == 0, np.nan, towns.astype(object))),
            "street": objects(f"street {i}" for i in rng.permutation(rows)),
            "only": objects(["x"] * rows),
            "nothing": objects([np.nan] * rows),
            "sold": pd.date_range("2020-01-01", periods=rows, freq="31h").where(n % 11 > 0).astype("datetime64[ns]"),
            "never": never,
            "note": objects(NOTES[i] for i in rng.integers(0, len(NOTES), rows)),
            "blank": objects([np.nan] * rows),
        }
    )


def sentences(signal: Any, seed: int = 4) -> np.ndarray:
    """Return texts whose words tell `signal`: some empty or missing, one of marks alone, one very long."""
    rng = np.random.default_rng(seed)
    told = np.digitize(np.asarray(signal) + rng.normal(size=len(signal)) / 3, [-0.6, 0.6])
    words = [["cheap", "old", "broken"], ["usual", "plain", "fair"], ["grand", "new", "bright"]]
    texts: list[Any] = [
        f"a {rng.choice(words[level])} and {rng.choice(words[level])} house, {rng.integers(9)} rooms" for level in told
    ]
    for row, text in {3: "", 4: np.nan, 5: "!!! 😀", 6: "<b>home</b> " * 500, 7: "明るい家です", 8: "12 34"}.items():
        texts[row] = text
    return objects(texts)


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


def album(rows: int = TRAIN + VALID, seed: int = 0, signal: Any = 0.0) -> pd.DataFrame:
    """Return a table of `ALBUM`: the levels of images tell `signal`, too, and a third of the rows have no `back`."""
    x = table(rows, seed, signal)[["size", "old", "town", "street"]]
    n = np.arange(rows)
    images = np.concatenate([arrays("image", rows, seed, signal), arrays("image", rows, seed + 1, signal)])
    photo, back = ImageArray(images, n), ImageArray(images, np.where(n % 3 == 0, -1, rows + n))
    return x.assign(note=sentences(np.broadcast_to(signal, rows)), photo=photo, back=back)


def ragged(x: np.ndarray, seed: int = 6) -> np.ndarray:
    """Return sequences of which most are shorter, down to one step, and some lack values; one has none at all."""
    rng = np.random.default_rng(seed)
    x = np.where(rng.random(x.shape) < 0.1, np.float32(np.nan), x)
    x[np.arange(x.shape[1]) >= rng.integers(1, x.shape[1] + 1, size=len(x))[:, None]] = np.nan
    x[5] = np.nan
    return x


def arrays(kind: str, rows: int = TRAIN + VALID, seed: int = 0, signal: Any = 0.0) -> np.ndarray:
    """Return images (rows, 8, 8) or sequences (rows, 6, 2) whose level tells `signal`."""
    shape = {"image": (8, 8), "sequence": (6, 2)}[kind]
    rng = np.random.default_rng(seed)
    # Not wholly separable, or boosting finds something to improve for thousands of rounds.
    level = (signal + rng.normal(size=rows) / 2).reshape(rows, *[1] * len(shape))
    x: np.ndarray = (level + rng.normal(size=(rows, *shape)) / 2).astype(np.float32)
    return x
