"""Writes ices.csv: what two made-up shops sold of ice cream each day, for a study of later days.

python studies/ices.py
"""

from __future__ import annotations

import csv
import datetime
import math
import random
from pathlib import Path

DAYS = 600
FIRST = datetime.date(2023, 1, 1)
SHOPS = {"beach": 1.5, "station": 1.0}


def warmth(rng: random.Random) -> list[float]:
    """Return the warmth of each day: the season, and weather that stays for some days."""
    weather, found = 0.0, []
    for day in range(DAYS):
        weather = 0.8 * weather + rng.gauss(0, 2.5)
        found.append(round(12 - 10 * math.cos(2 * math.pi * (day - 20) / 365) + weather, 1))
    return found


def main() -> None:
    """Write the file beside this one; a shop sells by the warmth of three days, the weekday and the crowd it has."""
    rng = random.Random(7)
    degrees = warmth(rng)
    crowd = dict.fromkeys(SHOPS, 1.0)
    with Path(__file__).with_name("ices.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["day", "shop", "degrees", "rain", "sold"])
        for number in range(DAYS):
            day = FIRST + datetime.timedelta(days=number)
            rain = rng.random() < 0.3
            felt = sum(degrees[max(0, number - 2) : number + 1]) / min(3, number + 1)
            for shop, size in SHOPS.items():
                crowd[shop] = 0.98 * crowd[shop] + 0.02 * math.exp(rng.gauss(0, 1))
                # One day in 40 a shop is closed, and has no row.
                if rng.random() < 1 / 40:
                    continue
                wanted = size * crowd[shop] * math.exp(felt / 9 + rng.gauss(0, 0.15))
                sold = round(8 * wanted * (1.6 if day.weekday() > 4 else 1) * (0.6 if rain else 1))
                writer.writerow([day.isoformat(), shop, degrees[number], "yes" if rain else "no", sold])


if __name__ == "__main__":
    main()
