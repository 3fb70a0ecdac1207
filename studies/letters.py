"""Writes letters.csv: made-up letters to a shop, for a study of short texts that needs no network.

python studies/letters.py
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

ROWS = 500
GREETINGS = ["Hello,", "Hi there!", "Good morning,", "Dear team,", "hey", "To whom it may concern,", ""]
CLOSINGS = ["Thanks.", "Please answer soon!", "Kind regards", "I am waiting.", "Bye", "What now??", ""]
THINGS = ["lamp", "bicycle", "teapot", "jacket", "radio", "garden chair", "backpack", "kettle", "clock"]
# What is said of each matter; {thing} and {number} are filled in.
SENTENCES = {
    "delivery": [
        "My {thing} has not arrived after {number} days.",
        "The parcel with the {thing} was left at a neighbour's door.",
        "Where is order {number}? The tracking page shows nothing.",
        "The courier came when nobody was at home.",
        "Can the {thing} be sent to another address?",
    ],
    "payment": [
        "You charged me twice for the {thing}.",
        "My card was refused although there is money on it.",
        "I still wait for the refund of {number} euros.",
        "The invoice for order {number} shows a wrong amount.",
        "Can I pay for the {thing} in three parts?",
    ],
    "quality": [
        "The {thing} broke after {number} days.",
        "There is a scratch on the {thing}, and one screw is missing.",
        "The colour of the {thing} is not the one in the picture.",
        "It makes a strange noise when I switch it on.",
        "The {thing} smells odd, is that safe?",
    ],
    "praise": [
        "I love the {thing}, it is even better than I hoped.",
        "Your service was quick and very friendly.",
        "Order {number} came a day early, wonderful!",
        "The {thing} looks beautiful in our kitchen.",
        "I will tell all my friends about the {thing}.",
    ],
}


def letter(rng: random.Random, matter: str) -> str:
    """Return a letter: mostly about its matter, now and then with a sentence of another one, some letters swapped."""
    said = rng.sample(SENTENCES[matter], rng.randint(1, 2))
    if rng.random() < 0.3:
        said.append(rng.choice(SENTENCES[rng.choice(list(SENTENCES))]))
    filled = [each.format(thing=rng.choice(THINGS), number=rng.randint(2, 9999)) for each in said]
    text = " ".join(part for part in (rng.choice(GREETINGS), *filled, rng.choice(CLOSINGS)) if part)
    for _ in range(rng.randint(0, 3)):
        place = rng.randrange(len(text) - 1)
        text = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    return text


def main() -> None:
    """Write the file beside this one."""
    rng = random.Random(7)
    with Path(__file__).with_name("letters.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "letter", "orders", "channel", "matter"])
        for number in range(ROWS):
            matter = rng.choice(list(SENTENCES))
            orders = rng.randint(1, 5) + 3 * (matter == "praise")
            channel = rng.choice(["mail", "form", "form" if matter == "payment" else "chat"])
            # One letter of 30 lies in the wrong tray.
            tray = rng.choice(list(SENTENCES)) if rng.random() < 1 / 30 else matter
            writer.writerow([number, letter(rng, matter), orders, channel, tray])


if __name__ == "__main__":
    main()
