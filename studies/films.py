"""Writes films.csv: made-up films with some genres each, for a study of several labels that needs no network.

python studies/films.py
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

ROWS = 400
HEROES = ["a widow", "two brothers", "a retired pilot", "a cook", "three neighbours", "a young teacher", "a clockmaker"]
PLACES = ["in a harbour town", "on a farm", "in the capital", "on a night train", "in the mountains", "by a lake"]
# What a plot tells where a film is of a genre; a film may be of several, or of none.
PLOTS = {
    "comedy": [
        "Nothing goes as planned, least of all the wedding.",
        "A parrot knows too much.",
        "The mayor is mistaken for a plumber.",
        "Everybody is invited to the wrong party.",
    ],
    "crime": [
        "A painting disappears from the bank's vault.",
        "The inspector trusts nobody.",
        "A witness changes her story.",
        "The money was never in the suitcase.",
    ],
    "romance": [
        "A letter arrives ten years late.",
        "They meet again at the old station.",
        "She learns to dance for him.",
        "He cannot say what he feels.",
    ],
    "space": [
        "The last ship leaves for Saturn.",
        "A signal comes from behind the moon.",
        "The crew wakes up too early.",
        "Oxygen will last for three days.",
    ],
}
SHARES = {"comedy": 0.4, "crime": 0.3, "romance": 0.3, "space": 0.12}
OTHERS = ["The summer is long.", "Old photographs are found.", "It rains for weeks.", "Nobody believes them at first."]


def film(rng: random.Random, genres: list[str]) -> list[object]:
    """Return plot, length in minutes and country of a film; now and then it tells of a genre that it is not of."""
    said = [rng.choice(PLOTS[genre]) for genre in genres]
    said += [rng.choice(PLOTS[rng.choice(list(PLOTS))])] if rng.random() < 0.15 else [rng.choice(OTHERS)]
    rng.shuffle(said)
    plot = f"The story of {rng.choice(HEROES)} {rng.choice(PLACES)}. {' '.join(said)}"
    minutes = round(rng.gauss(100, 12) + 18 * ("space" in genres) - 10 * ("comedy" in genres))
    country = rng.choice(["France", "India", "Brazil", "Italy" if "romance" in genres else "Poland"])
    return [plot, minutes, country]


def main() -> None:
    """Write the file beside this one."""
    rng = random.Random(7)
    with Path(__file__).with_name("films.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "plot", "minutes", "country", *PLOTS])
        for number in range(ROWS):
            genres = [genre for genre, share in SHARES.items() if rng.random() < share]
            writer.writerow([number, *film(rng, genres), *(int(genre in genres) for genre in PLOTS)])


if __name__ == "__main__":
    main()
