"""Writes wares.csv and pictures of wares: made-up second-hand cups, for a study of four kinds of columns in one table.

python studies/wares.py

What a cup fetches hangs on its age, its maker, what is written of it, and how many scratches its picture shows: on each
as much as on the others, and on nothing that another column knows.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import PIL.Image
import PIL.ImageDraw

ROWS = 600
SIDE = 24
MAKERS = {"Aster": -1.5, "Brook": -0.9, "Cedar": -0.3, "Dune": 0.3, "Ember": 0.9, "Fjord": 1.5}
PRAISE = ["a gift from my aunt", "kept in a cabinet", "signed below", "painted by hand", "rare in this colour"]
DOUBTS = ["a little too small", "smells of smoke", "glued once", "from a clearance", "the handle is loose"]
ASIDE = [
    "it holds tea well",
    "for one person",
    "pick it up on Friday",
    "no returns",
    "blue or green",
    "ask me anything",
]


class Ware(NamedTuple):
    """A cup, and what each column adds to its price: of mean 0 and deviation 1 each, about."""

    age: float
    maker: str
    text: str
    scratches: int
    worth: float


def ware(rng: random.Random) -> Ware:
    """Return a cup."""
    age, maker, scratches, praised = rng.uniform(0, 60), rng.choice(list(MAKERS)), rng.randint(0, 5), rng.randint(0, 3)
    said = [*rng.sample(PRAISE, praised), *rng.sample(DOUBTS, 3 - praised), *rng.sample(ASIDE, 2)]
    rng.shuffle(said)
    parts = (30 - age) / 17.3, MAKERS[maker], (praised - 1.5) / 1.1, (2.5 - scratches) / 1.7
    return Ware(round(age, 1), maker, f"A cup, {', '.join(said)}.", scratches, sum(parts) + rng.gauss(0, 0.5))


def picture(scratches: int, rng: random.Random) -> PIL.Image.Image:
    """Return a round cup of some colour, seen from above, with dark scratches."""
    image = PIL.Image.new("RGB", (SIDE, SIDE), (225, 220, 210))
    draw = PIL.ImageDraw.Draw(image)
    left, top = rng.randint(1, 4), rng.randint(1, 4)
    draw.ellipse((left, top, left + 18, top + 18), fill=tuple(rng.randint(110, 240) for _ in range(3)))
    # Each in a stripe of its own, so that none hides another.
    for place in rng.sample(range(5), scratches):
        x = left + 4 + rng.randint(0, 6)
        y = top + 4 + 2 * place + rng.randint(0, 1)
        draw.line((x, y, x + 5, y), fill=(25, 20, 20))
    noise = np.random.default_rng(rng.randrange(2**32)).normal(0, 6, (SIDE, SIDE, 3))
    return PIL.Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype("uint8"))


def write(folder: Path, rows: int, seed: int, name: str = "wares") -> pd.DataFrame:
    """Write NAME.csv and the folder `pictures`, and return the table."""
    rng = random.Random(seed)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    found: list[Sequence[object]] = []
    for number in range(rows):
        made = ware(rng)
        file = f"{name}{number}.png"
        picture(made.scratches, rng).save(folder / "pictures" / file)
        found.append([number, made.age, made.maker, made.text, file, round(50 + 10 * made.worth, 2)])
    table = pd.DataFrame(found, columns=["id", "age", "maker", "text", "photo", "price"])
    table.to_csv(folder / f"{name}.csv", index=False)
    return table


if __name__ == "__main__":
    write(Path(__file__).parent, ROWS, seed=7)
