"""Makes a corpus of spoken commands with espeak-ng: words, phonemes, intent and slots of each, by several voices.

    python examples/commands/make.py FOLDER [--commands 600] [--seed 0]

Each voice, an accent with a variant of the synthesiser, is a speaker; no speaker and no sentence of one split is in
another. FOLDER gets ``audio/`` and ``labels.csv``, to be read by

    emotune corpus read table FOLDER/labels.csv --unlabelled -o commands.csv
"""

import argparse
import csv
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

VOICES = {
    "train": [
        *("en-us+m1", "en-us+f1", "en-us+m3", "en-us+f2", "en-gb+m2", "en-gb+f1", "en-gb+m4", "en-gb+f3"),
        *("en-gb-x-rp+m3", "en-gb-x-rp+f2", "en-gb-scotland+m1", "en-gb-scotland+f3"),
    ],
    "development": ["en-us+m2", "en-gb+f4", "en-gb-x-rp+m5"],
    "test": ["en-us+f3", "en-gb+m3", "en-gb-scotland+f4"],
}
SPEEDS = (135, 160, 190)  # words a minute
SHARES = {"train": 0.7, "development": 0.15, "test": 0.15}

ROOMS = ["kitchen", "bedroom", "bathroom", "office", "hall", "living room"]
DEVICES = ["lights", "heating", "fan", "radio", "oven"]
NUMBERS = ["two", "five", "ten", "fifteen", "twenty", "thirty"]
PEOPLE = ["anna", "david", "maria", "peter", "sarah", "tom"]
CITIES = ["london", "paris", "rome", "berlin", "madrid"]
DAYS = ["today", "tomorrow", "on monday", "on friday", "on sunday"]
GENRES = ["jazz", "rock", "classical music", "folk songs"]
COMMANDS = {  # intent -> sentences; a word in capitals is a slot
    "switch_on": ["turn on the DEVICE in the ROOM", "switch the ROOM DEVICE on", "please start the DEVICE in the ROOM"],
    "switch_off": ["turn off the DEVICE in the ROOM", "switch the ROOM DEVICE off", "stop the DEVICE in the ROOM"],
    "set_timer": ["set a timer for NUMBER minutes", "wake me in NUMBER minutes", "remind me in NUMBER minutes"],
    "call": ["call PERSON", "please call PERSON DAY", "ring up PERSON for me"],
    "weather": ["what is the weather in CITY DAY", "will it rain in CITY DAY", "how warm is it in CITY"],
    "play": ["play some GENRE in the ROOM", "play GENRE", "i want to hear GENRE"],
}
SLOTS = {
    **{"ROOM": ROOMS, "DEVICE": DEVICES, "NUMBER": NUMBERS, "PERSON": PEOPLE},
    **{"CITY": CITIES, "DAY": DAYS, "GENRE": GENRES},
}
COLUMNS = ["file", "speaker", "gender", "language", "split", "text", "phonemes", "intent", "slots"]


def sentences() -> Iterator[tuple[str, str, str]]:
    """Every command: text, intent, and slots as ``name value; name value`` in the order in which they are said."""
    for intent, patterns in COMMANDS.items():
        for pattern in patterns:
            names = [word for word in pattern.split() if word in SLOTS]
            for values in product(*(SLOTS[name] for name in names)):
                said = iter(values)
                text = " ".join(next(said) if word in SLOTS else word for word in pattern.split())
                slots = "; ".join(f"{name.lower()} {value}" for name, value in zip(names, values, strict=True))
                yield text, intent, slots


def phonemes_of(text: str, voice: str) -> str:
    """espeak-ng's own phonemes of a text, without stress and pauses, a space between them.

    >>> phonemes_of("call anna", "en-us")
    'k O: l a# n a#'
    """
    said = subprocess.run(
        ["espeak-ng", "-v", voice, "-q", "-x", "--sep= ", text], check=True, capture_output=True, text=True
    ).stdout
    symbols = (re.sub(r"[',%=_|]", "", symbol) for symbol in said.split())
    return " ".join(symbol for symbol in symbols if symbol.strip(":"))


def chosen(commands: int, draw: random.Random) -> Iterator[tuple[str, tuple[str, str, str], str, int]]:
    """Split, command, voice and speed of each recording; intents come equally often."""
    by_intent: dict[str, list[tuple[str, str, str]]] = {}
    for command in sentences():
        by_intent.setdefault(command[1], []).append(command)
    held_out: dict[str, dict[str, list[tuple[str, str, str]]]] = {}
    for intent, all_of_it in by_intent.items():
        draw.shuffle(all_of_it)
        fifth = len(all_of_it) // 5
        parts = {"test": slice(fifth), "development": slice(fifth, 2 * fifth), "train": slice(2 * fifth, None)}
        held_out[intent] = {split: all_of_it[part] for split, part in parts.items()}
    for split, share in SHARES.items():
        for number in range(max(1, round(commands * share))):
            intent = list(by_intent)[number % len(by_intent)]
            yield split, draw.choice(held_out[intent][split]), draw.choice(VOICES[split]), draw.choice(SPEEDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--commands", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if shutil.which("espeak-ng") is None:
        sys.exit("espeak-ng is not installed; the Debian package of that name brings it.")
    (options.folder / "audio").mkdir(parents=True, exist_ok=True)

    def record(number: int, split: str, command: tuple[str, str, str], voice: str, speed: int) -> dict[str, str]:
        (text, intent, slots), file = command, f"audio/{number:05d}.wav"
        arguments = ["espeak-ng", "-v", voice, "-s", str(speed), "-w", str(options.folder / file), text]
        subprocess.run(arguments, check=True)
        gender = "female" if "+f" in voice else "male"
        cells = [file, voice, gender, "en", split, text, phonemes_of(text, voice), intent, slots]
        return dict(zip(COLUMNS, cells, strict=True))

    with ThreadPoolExecutor() as threads:
        jobs = list(enumerate(chosen(options.commands, random.Random(options.seed))))
        rows = list(threads.map(lambda job: record(job[0], *job[1]), jobs))
    with (options.folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    print(f"{options.folder}: {len(rows)} commands by {len({row['speaker'] for row in rows})} voices")


if __name__ == "__main__":
    main()
