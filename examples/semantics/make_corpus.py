"""Renders a corpus in which the words alone tell the emotion: neutral synthetic voices read emotional sentences.

    python examples/semantics/make_corpus.py OUT

Writes FLAC files and ``labels.csv`` with file, emotion, speaker, gender, split, language and text. Voices are disjoint
over the splits, and no emotional word of a split occurs in the sentences of an earlier one. Needs `espeak-ng`.
"""

import argparse
import csv
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import yaml

SENTENCES = Path(__file__).with_name("sentences.yaml")
SAMPLING_RATE_HZ = 16000
EDGE_S = 0.2
PEAK = 0.5
WORDS_PER_MINUTE = 150
SPLITS = ("train", "development", "test")
_ROOT = 4  # letters that two words must share at the start to count as one
_PART = 3  # letters of an emotional word that counts where it is part of another
_MARKED = re.compile(r"_([^_]+)_")


@dataclass(frozen=True)
class Sentence:
    """One sentence as it is spoken, and its emotional words in lower case."""

    text: str
    emotion: str
    split: str
    emotional_words: tuple[str, ...]


VOICES = {  # split -> espeak-ng voice -> gender, pitch of espeak-ng's 0 to 99
    "train": {
        "en-us+m1": ("male", 40),
        "en-us+f2": ("female", 50),
        "en-gb+m3": ("male", 45),
        "en-us+steph": ("female", 50),
    },
    "development": {"en-us+m7": ("male", 45), "en-gb-x-rp+f3": ("female", 50)},
    "test": {
        "en-us+max": ("male", 45),
        "en-us+f4": ("female", 50),
        "en-gb-x-rp+m2": ("male", 45),
        "en-us+Annie": ("female", 50),
    },
}


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case.

    >>> words_of("Stop _shouting_ at me, you idiot.")
    ['stop', 'shouting', 'at', 'me', 'you', 'idiot']
    """
    return re.findall(r"[a-z]+", text.lower())


def read_sentences(path: Path = SENTENCES) -> list[Sentence]:
    """All sentences of the file, checked: every one has an emotional word, and splits share none.

    Raises:
        ValueError: naming the words that two splits share, or the sentence without an emotional word.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = [
        Sentence(
            text.replace("_", ""),
            emotion,
            split,
            tuple(word for marked in _MARKED.findall(text) for word in words_of(marked)),
        )
        for split in SPLITS
        for emotion, texts in content[split].items()
        for text in texts
    ]
    bare = [sentence.text for sentence in found if not sentence.emotional_words]
    if bare:
        raise ValueError(f"{path.name}: no emotional word is marked in: {bare[0]}")
    shared = shared_words(found)
    if shared:
        raise ValueError(f"{path.name}: splits share emotional words: " + "; ".join(shared))
    return found


def shared_words(sentences: list[Sentence]) -> list[str]:
    """Emotional words of a split that occur, in some form, in sentences of an earlier split.

    Two words count as one when they begin with the same four letters, or when one is part of the other and is an
    emotional word of three letters or any of four. Function words inside a marked phrase do not count.
    """
    emotional = {word for sentence in sentences for word in sentence.emotional_words}
    found = []
    for position, split in enumerate(SPLITS):
        earlier = {
            word: sentence.split
            for sentence in sentences
            if sentence.split in SPLITS[:position]
            for word in words_of(sentence.text)
        }
        for sentence in sentences:
            if sentence.split == split:
                found += [
                    f"'{mine}' ({split}: {sentence.text}) and '{theirs}' ({where})"
                    for mine in sentence.emotional_words
                    for theirs, where in earlier.items()
                    if _same(mine, theirs, emotional)
                ]
    return found


def _same(first: str, second: str, emotional: set[str]) -> bool:
    shorter, longer = sorted((first, second), key=len)
    if shorter in _FUNCTION_WORDS:
        return False
    long_enough = len(shorter) >= _ROOT or (len(shorter) >= _PART and shorter in emotional)
    alike = len(shorter) >= _ROOT and shorter[:_ROOT] == longer[:_ROOT]
    return first == second or alike or (long_enough and shorter in longer)


_FUNCTION_WORDS = frozenset(
    {"all", "and", "away", "back", "come", "for", "never", "one", "the", "time", "to", "you", "in", "of", "me", "my"}
)


def speak(text: str, voice: str, pitch: int) -> np.ndarray:
    """A text in an espeak-ng voice, shape (samples,), at 16 kHz with silence before and after."""
    command = ["espeak-ng", "-v", voice, "-s", str(WORDS_PER_MINUTE), "-p", str(pitch), "--stdout", text]
    spoken = subprocess.run(command, check=True, capture_output=True).stdout
    head = spoken.index(b"data") + 8  # a stream's header promises no length
    with soundfile.SoundFile(io.BytesIO(spoken)) as sound:
        rate = sound.samplerate
    samples = np.frombuffer(spoken[head : head + (len(spoken) - head) // 2 * 2], dtype="<i2") / 32768
    samples = soxr.resample(samples.astype(np.float32), rate, SAMPLING_RATE_HZ, quality="VHQ")
    edge = np.zeros(round(EDGE_S * SAMPLING_RATE_HZ), dtype=np.float32)
    return np.concatenate([edge, samples * (PEAK / np.abs(samples).max()), edge])


def rows(sentences: list[Sentence], voices: Mapping[str, Mapping[str, tuple[str, int]]]) -> Iterator[dict[str, str]]:
    """One row a clip: each sentence is read by every voice of its split."""
    for split, of_split in voices.items():
        for name, (gender, _) in of_split.items():
            own = [sentence for sentence in sentences if sentence.split == split]
            for number, sentence in enumerate(own):
                speaker = name.replace("+", "-")
                yield {
                    "file": f"audio/{split}/{speaker}-{number:03d}.flac",
                    "emotion": sentence.emotion,
                    "speaker": speaker,
                    "gender": gender,
                    "split": split,
                    "language": "en",
                    "text": sentence.text,
                }


def make_corpus(
    folder: Path, voices: Mapping[str, Mapping[str, tuple[str, int]]] = VOICES, *, most_a_class: int | None = None
) -> Path:
    """Write the corpus; returns ``labels.csv``.

    Args:
        folder: made where it does not exist.
        voices: split -> espeak-ng voice -> (gender, pitch).
        most_a_class: only so many sentences a class and split, for tests.
    """
    sentences, taken = [], dict[tuple[str, str], int]()
    for sentence in read_sentences():
        key = sentence.split, sentence.emotion
        taken[key] = taken.get(key, 0) + 1
        if most_a_class is None or taken[key] <= most_a_class:
            sentences.append(sentence)
    settings = {name.replace("+", "-"): (name, pitch) for of in voices.values() for name, (_, pitch) in of.items()}
    written = list(rows(sentences, voices))
    for row in written:
        path = folder / row["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, speak(row["text"], *settings[row["speaker"]]), SAMPLING_RATE_HZ, subtype="PCM_16")
    labels = folder / "labels.csv"
    with labels.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(written[0]))
        writer.writeheader()
        writer.writerows(written)
    return labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if shutil.which("espeak-ng") is None:
        sys.exit("error: espeak-ng is not installed; on Debian and Ubuntu: apt-get install espeak-ng")
    print(f"wrote {make_corpus(arguments.folder)}")


if __name__ == "__main__":
    main()
