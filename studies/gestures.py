"""Writes gestures.csv: made-up gestures of a hand, for a study of sequences that needs no network.

python studies/gestures.py
"""

from __future__ import annotations

import csv
import math
import random
from pathlib import Path

GESTURES, PEOPLE = 180, 12
# Steps of a gesture; a second has 20.
SHORTEST, LONGEST = 16, 32


def place(kind: str, share: float) -> tuple[float, float]:
    """Return where the hand is when so much of a gesture is done."""
    turn = 2 * math.pi * share
    return {
        "circle": (math.cos(turn), math.sin(turn)),
        "wave": (math.sin(3 * turn), 0.0),
        "swipe": (2 * share - 1, 0.1 * math.sin(turn)),
        "zigzag": (2 * share - 1, 2 * abs(4 * share % 2 - 1) - 1),
    }[kind]


def gesture(rng: random.Random, kind: str, size: float) -> list[tuple[float, float, str]]:
    """Return the steps of a gesture: x, y and how hard it is pressed; made faster or slower, turned, and trembling."""
    steps, angle, start = rng.randint(SHORTEST, LONGEST), rng.gauss(0, 0.25), rng.random() / 5
    size *= rng.uniform(0.7, 1.3)
    found = []
    for step in range(steps):
        x, y = place(kind, start + step / (steps - 1))
        turned = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
        x, y = (size * each + rng.gauss(0, 0.12) for each in turned)
        found.append((x, y, "firm" if rng.random() < 0.3 + 0.3 * (kind == "swipe") else "light"))
    return found


def main() -> None:
    """Write the file beside this one."""
    rng = random.Random(7)
    sizes = [rng.uniform(0.6, 1.4) for _ in range(PEOPLE)]
    with Path(__file__).with_name("gestures.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["gesture", "person", "time", "x", "y", "touch", "kind"])
        for number in range(GESTURES):
            person, kind = number % PEOPLE, rng.choice(["circle", "wave", "swipe", "zigzag"])
            for step, (x, y, touch) in enumerate(gesture(rng, kind, sizes[person])):
                # Now and then the sensor misses a step, or a value.
                if rng.random() < 0.03:
                    continue
                shown = "" if rng.random() < 0.03 else f"{y:.2f}"
                writer.writerow([number, f"p{person}", f"{step / 20:.2f}", f"{x:.2f}", shown, touch, kind])


if __name__ == "__main__":
    main()
