"""Writes a made-up MSP-Podcast: synthetic voices in the corpus's own layout, for trying a whole study without it.

    python examples/study/make_corpus.py FOLDER [--truth FILE] [--scale 1.0] [--seed 0]

Nobody speaks in it: pulses at a voice's pitch go through the resonances of vowels, all made by NumPy. A speaker has a
pitch (by gender), a length of vocal tract, a recording level and a microphone tilt; an emotion moves pitch, its range
and contour, rate, level, spectral tilt, breath and irregularity, each time with another strength, so that classes
overlap. Attributes follow the emotion, workers' votes scatter around both, and the consensus is made of the workers'
votes, as in the corpus: X where they tie. About half of the transcripts have words that carry the emotion.

As in the corpus: ``Audios``, ``Transcripts``, ``Labels/labels_consensus.csv`` and ``labels_detailed.csv``; Train,
Development, Test1 and Test2 with different speakers and uneven classes; Test3 with as many turns of every class and
neither labels, speakers nor transcripts. Unlike it: about 1,200 short turns, and less uneven classes (the published
shares to the power of 0.6), so that so few turns hold every class. What Test3 would have been labelled goes into the
file of ``--truth``, which must lie outside the folder.

Everything is drawn from the seed and the name of the speaker or turn. Every number here is ours and says nothing about
people.
"""

import argparse
import csv
import hashlib
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

SAMPLING_RATE_HZ = 16000
HOP, WINDOW = 160, 512
DIMENSIONS = ("EmoAct", "EmoVal", "EmoDom")
CONSENSUS_COLUMNS = ("FileName", "EmoClass", *DIMENSIONS, "SpkrID", "Gender", "Split_Set")
DETAILED_COLUMNS = ("FileName", "Workers", "EmoClass_Major", "EmoClass_Second", *DIMENSIONS)


@dataclass(frozen=True)
class Manner:
    """What an emotion changes about a voice."""

    pitch: float = 1.0
    range_semitones: float = 2.5
    slope_semitones: float = -2.0
    rate: float = 1.0
    level_db: float = 0.0
    tilt_db_per_octave: float = 0.0
    formants: float = 1.0
    breath_db: float = -32.0
    jitter: float = 0.005
    tremor_semitones: float = 0.0


@dataclass(frozen=True)
class Emotion:
    """A class of the corpus.

    Args:
        word: what workers call it.
        share: of the published training turns with one of the eight classes (release 2.0).
        manner: how it sounds.
        attributes: arousal, valence and dominance, 1 to 7.
        taken_for: what workers hear in its place.
        nuances: secondary words.
        says: sentences that carry it.
    """

    word: str
    share: float
    manner: Manner
    attributes: tuple[float, float, float]
    taken_for: str
    nuances: tuple[str, ...]
    says: tuple[str, ...]


EMOTIONS = {
    "A": Emotion(
        "Angry",
        22609,
        Manner(1.15, 5, -4, 1.15, 5, 3.5, 1.0, -36, 0.025),
        (5.7, 2.2, 5.5),
        "DCNU",
        ("Frustrated", "Annoyed"),
        ("this makes me furious", "how dare they lie to me", "i am sick of this nonsense", "stop it right now"),
    ),
    "S": Emotion(
        "Sad",
        18256,
        Manner(0.88, 1.2, -2.5, 0.75, -4, -4, 1.0, -14, 0.01),
        (2.4, 2.3, 2.8),
        "NFD",
        ("Depressed", "Disappointed"),
        ("i miss her so much", "we lost him last winter", "nothing helps and i cry", "it broke my heart"),
    ),
    "H": Emotion(
        "Happy",
        37048,
        Manner(1.35, 5.5, -1, 1.15, 2.5, 1.5, 1.08, -32, 0.005),
        (5.0, 6.0, 4.9),
        "NUC",
        ("Amused", "Excited"),
        ("that is wonderful news", "i love every minute", "we laughed all night", "what a lovely day"),
    ),
    "U": Emotion(
        "Surprise",
        3220,
        Manner(1.5, 7, 8, 1.05, 2, 0.5, 1.03, -30, 0.005),
        (5.4, 4.4, 4.2),
        "HFN",
        ("Excited", "Confused"),
        ("oh my god really", "i never expected that", "wait are you serious", "no way that happened"),
    ),
    "F": Emotion(
        "Fear",
        794,
        Manner(1.3, 1.8, 0, 1.3, -1, -0.5, 0.98, -16, 0.02, 1.2),
        (5.3, 2.5, 2.3),
        "SUN",
        ("Concerned", "Confused"),
        ("i was terrified of him", "somebody is following us", "please do not leave me here", "it scared me to death"),
    ),
    "D": Emotion(
        "Disgust",
        1324,
        Manner(0.85, 3, -5, 0.82, 0, 1.5, 0.93, -24, 0.07),
        (4.2, 2.2, 4.6),
        "NCA",
        ("Annoyed", "Frustrated"),
        ("that is disgusting", "it smelled rotten", "it made me sick to look", "what a filthy thing"),
    ),
    "C": Emotion(
        "Contempt",
        2765,
        Manner(0.95, 4.5, -7, 0.88, 1, -1.5, 1.04, -22, 0.03),
        (3.8, 3.0, 5.2),
        "DAN",
        ("Annoyed", "Disappointed"),
        ("they are beneath me", "what a pathetic excuse", "he thinks he is clever", "as if anybody cared"),
    ),
    "N": Emotion("Neutral", 51149, Manner(), (3.6, 4.0, 4.0), "HSC", ("Concerned", "Amused"), ()),
}
PLAIN = (
    "so the next part is about the market",
    "we talked to them on tuesday",
    "there are three ways to do it",
    "and then they moved to the city",
    "the book came out in the spring",
    "you can find it on the website",
    "it is about ten miles from here",
    "i think that is what they said",
)
VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
HIGH_FORMANTS_HZ = (3500.0, 4500.0, 5500.0)


@dataclass(frozen=True)
class Voice:
    """A speaker: what stays the same in all turns."""

    number: str
    gender: str
    pitch_hz: float
    tract: float
    level_db: float
    tilt_db_per_octave: float


@dataclass(frozen=True)
class Split:
    """How many turns of how many speakers, and how many turns have a speaker that is not known."""

    name: str
    turns: int
    speakers: int
    unknown: float = 0.0


SPLITS = (
    Split("Train", 620, 44, unknown=0.02),
    Split("Development", 190, 14),
    Split("Test1", 150, 14),
    Split("Test2", 90, 12),
)
TEST3 = Split("Test3", 160, 16)


@dataclass(frozen=True)
class Turn:
    """A turn and all that the corpus would say of it."""

    file: str
    split: str
    voice: Voice
    is_known: bool
    label: str
    attributes: tuple[float, ...]
    ratings: tuple[tuple[str, str, str, int, int, int], ...]
    text: str


def write_corpus(folder: Path, *, truth: Path | None = None, scale: float = 1.0, seed: int = 0) -> Counter[str]:
    """Write the corpus, and what Test3 would have been labelled beside it.

    Args:
        folder: gets ``Audios``, ``Labels`` and ``Transcripts``.
        truth: a CSV file in the columns of the label file; None = nobody learns it.
        scale: of the number of turns and speakers.
        seed: another seed, another corpus.

    Returns:
        How many turns each split has.
    """
    if truth is not None and truth.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{truth} lies in {folder}: the truth of Test3 is none of the corpus's files")
    for name in ("Audios", "Transcripts", "Labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    turns = [turn for split in (*SPLITS, TEST3) for turn in _turns(_scaled(split, scale), folder, seed)]
    labelled = [turn for turn in turns if turn.split != TEST3.name]
    _write_labels(folder / "Labels" / "labels_consensus.csv", labelled)
    with (folder / "Labels" / "labels_detailed.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(DETAILED_COLUMNS)
        writer.writerows((turn.file, *rating) for turn in labelled for rating in turn.ratings)
    for turn in labelled:
        (folder / "Transcripts" / turn.file).with_suffix(".txt").write_text(turn.text + "\n", encoding="utf-8")
    if truth is not None:
        truth.parent.mkdir(parents=True, exist_ok=True)
        _write_labels(truth, [turn for turn in turns if turn.split == TEST3.name])
    return Counter(turn.split for turn in turns)


def _scaled(split: Split, scale: float) -> Split:
    turns = max(2 * len(EMOTIONS), round(split.turns * scale))
    return Split(split.name, turns, max(4, round(split.speakers * scale)), split.unknown)


def _write_labels(path: Path, turns: list[Turn]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(CONSENSUS_COLUMNS)
        for turn in turns:
            who = (turn.voice.number, turn.voice.gender) if turn.is_known else ("Unknown", "Unknown")
            writer.writerow((turn.file, turn.label, *(f"{a:.5f}" for a in turn.attributes), *who, turn.split))


def _turns(split: Split, folder: Path, seed: int) -> list[Turn]:
    voices = [_voice(split, number, seed) for number in range(split.speakers)]
    turns = []
    for number, code in enumerate(_classes_of(split, seed)):
        voice = voices[number % len(voices)]
        file = f"MSP-PODCAST_{int(voice.number):04d}_{number:04d}.wav"
        if split.name == TEST3.name:
            file = f"MSP-PODCAST_test3_{number + 1:04d}.wav"
        generator = _generator(seed, file)
        strength = generator.uniform(0.5, 1.25)
        label, attributes, ratings = _rated(code, strength, generator)
        while split.name == TEST3.name and label != code:
            label, attributes, ratings = _rated(code, strength, generator)
        samples = _speech(voice, _at(EMOTIONS.get(code, EMOTIONS["N"]).manner, strength), generator)
        soundfile.write(folder / "Audios" / file, samples, SAMPLING_RATE_HZ, subtype="PCM_16")
        known = generator.uniform() >= split.unknown
        turns.append(Turn(file, split.name, voice, known, label, attributes, ratings, _text(code, generator)))
    return turns


def _voice(split: Split, number: int, seed: int) -> Voice:
    first = 100 * (1 + [part.name for part in (*SPLITS, TEST3)].index(split.name))
    generator = _generator(seed, f"{split.name} speaker {number}")
    gender = ("Female", "Male")[number % 2]
    pitch_hz, tract = (205, 1.16) if gender == "Female" else (112, 1.0)
    return Voice(
        str(first + number),
        gender,
        pitch_hz * float(np.exp(generator.normal(0, 0.09))),
        tract * float(np.exp(generator.normal(0, 0.03))),
        float(generator.uniform(-4, 4)),
        float(generator.uniform(-0.6, 0.6)),
    )


def _classes_of(split: Split, seed: int) -> list[str]:
    """One code a turn in random order, each class at least twice; ``O`` is something else. Test3 is even."""
    codes = list(EMOTIONS)
    if split.name == TEST3.name:
        found = [codes[number % len(codes)] for number in range(split.turns)]
    else:
        shares = np.array([emotion.share for emotion in EMOTIONS.values()]) ** 0.6
        left = np.floor(shares / shares.sum() * (split.turns - 2 * len(codes))).astype(int)
        found = [code for code, count in zip(codes, left + 2, strict=True) for _ in range(count)]
        found += ["O"] * (split.turns // 60)
        found = (found + ["N"] * split.turns)[: split.turns]
    return [str(code) for code in _generator(seed, f"{split.name} classes").permutation(found)]


def _rated(code: str, strength: float, generator: np.random.Generator) -> tuple[str, tuple[float, ...], tuple]:
    """The consensus of five to seven workers, the mean attributes, and what each worker said."""
    emotion = EMOTIONS.get(code, EMOTIONS["N"])
    neutral = np.array(EMOTIONS["N"].attributes)
    centre = neutral + strength * (np.array(emotion.attributes) - neutral) + generator.normal(0, 0.35, 3)
    ratings, votes = [], Counter[str]()
    for worker in generator.choice(400, size=generator.integers(5, 8), replace=False):
        heard = code if generator.uniform() < 0.4 + 0.35 * strength else str(generator.choice(list(emotion.taken_for)))
        heard = "O" if generator.uniform() < 0.02 else heard
        votes[heard] += 1
        word = "Other-puzzled" if heard == "O" else EMOTIONS[heard].word
        nuances = (EMOTIONS.get(heard) or emotion).nuances
        second = ",".join([word, *(nuance for nuance in nuances if generator.uniform() < 0.4)])
        scores = (int(score) for score in np.clip(np.round(centre + generator.normal(0, 0.8, 3)), 1, 7))
        ratings.append((f"WORKER{worker:08d}", word, second, *scores))
    (label, most), *others = votes.most_common(2)
    if others and others[0][1] == most:
        label = "X"
    means = tuple(float(mean) for mean in np.mean([rating[3:] for rating in ratings], axis=0))
    return label, means, tuple(ratings)


def _text(code: str, generator: np.random.Generator) -> str:
    says = EMOTIONS[code].says if code in EMOTIONS else ()
    plain = str(generator.choice(PLAIN))
    if not says or generator.uniform() >= 0.55:
        return plain
    telling = str(generator.choice(says))
    return telling if generator.uniform() < 0.5 else f"{plain} {telling}"


def _at(manner: Manner, strength: float) -> Manner:
    """The manner at a strength; 0 is a neutral voice."""
    plain = Manner()

    def moved(name: str) -> float:
        neutral, full = getattr(plain, name), getattr(manner, name)
        return float(neutral + strength * (full - neutral))

    return Manner(**{name: moved(name) for name in Manner.__dataclass_fields__})


def _speech(voice: Voice, manner: Manner, generator: np.random.Generator) -> np.ndarray:
    """One turn of 0.8 to 1.6 s, shape (samples,), within [-1, 1]."""
    seconds = float(np.clip(generator.uniform(0.9, 1.4) / manner.rate, 0.8, 1.6))
    frames = round(seconds * SAMPLING_RATE_HZ / HOP)
    syllable_of, openness = _syllables(frames, manner.rate * generator.uniform(0.92, 1.08), generator)
    source = _source(voice, manner, syllable_of, frames, generator)
    spectrum = np.fft.rfft(_framed(source, frames) * np.hanning(WINDOW))
    samples = _overlapped(np.fft.irfft(spectrum * _resonances(voice, manner, syllable_of, generator), WINDOW))
    samples *= np.interp(np.arange(len(samples)) / HOP, np.arange(frames), openness)
    samples = samples / np.sqrt(np.mean(samples**2)) * 10 ** (generator.normal(0, 1) / 20)
    samples *= 10 ** ((-26 + voice.level_db + manner.level_db) / 20)
    samples += generator.normal(0, 10 ** (-62 / 20), len(samples))
    return samples * min(1.0, 0.95 / np.abs(samples).max())


def _syllables(frames: int, rate: float, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The syllable that each frame belongs to, and how open the mouth is there, both of shape (frames,)."""
    count = max(2, round(frames * HOP / SAMPLING_RATE_HZ * 4.5 * rate))
    edges = np.sort(np.arange(1, count) + generator.uniform(-0.2, 0.2, count - 1)) / count * frames
    syllable_of = np.searchsorted(edges, np.arange(frames), side="right")
    bounds = np.concatenate([[0.0], edges, [frames]])
    place = (np.arange(frames) - bounds[syllable_of]) / np.diff(bounds)[syllable_of]
    return syllable_of, 0.02 + np.sin(np.pi * np.clip(place, 0, 1)) ** 0.6


def _source(
    voice: Voice, manner: Manner, syllable_of: np.ndarray, frames: int, generator: np.random.Generator
) -> np.ndarray:
    """Pulses at the voice's pitch, and breath; shape (frames * hop,)."""
    time = np.arange(frames) / frames
    accents = generator.normal(0, 1, syllable_of.max() + 1)[syllable_of]
    semitones = (
        manner.slope_semitones * (time - 0.5)
        + manner.range_semitones * np.convolve(accents, np.ones(9) / 9)[4 : 4 + frames]
    )
    semitones += manner.tremor_semitones * np.sin(2 * np.pi * 7 * np.arange(frames) * HOP / SAMPLING_RATE_HZ)
    pitch_hz = voice.pitch_hz * manner.pitch * np.exp(generator.normal(0, 0.03)) * 2 ** (semitones / 12)
    samples = frames * HOP
    phase = np.cumsum(np.interp(np.arange(samples) / HOP, np.arange(frames), pitch_hz)) / SAMPLING_RATE_HZ
    moments = np.interp(np.arange(1, int(phase[-1])), phase, np.arange(samples))
    moments += generator.normal(0, 1, len(moments)) * manner.jitter * SAMPLING_RATE_HZ / pitch_hz.mean()
    moments = np.clip(moments, 0, samples - 2)
    whole, part = moments.astype(int), moments % 1
    pulses = np.zeros(samples)
    np.add.at(pulses, whole, 1 - part)
    np.add.at(pulses, whole + 1, part)
    noise = generator.normal(0, pulses.std(), samples)
    return pulses + 10 ** (manner.breath_db / 20) * noise


def _framed(samples: np.ndarray, frames: int) -> np.ndarray:
    padded = np.pad(samples, WINDOW // 2)
    return padded[np.arange(frames)[:, None] * HOP + np.arange(WINDOW)]


def _overlapped(framed: np.ndarray) -> np.ndarray:
    out = np.zeros((len(framed) - 1) * HOP + WINDOW)
    for number, frame in enumerate(framed):
        out[number * HOP : number * HOP + WINDOW] += frame
    return out[WINDOW // 2 : WINDOW // 2 + len(framed) * HOP]


def _resonances(voice: Voice, manner: Manner, syllable_of: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The gain of the vocal tract in each frame, shape (frames, frequencies)."""
    frequency_hz = np.maximum(np.fft.rfftfreq(WINDOW, 1 / SAMPLING_RATE_HZ), 60)
    vowels = generator.integers(0, len(VOWELS_HZ), syllable_of.max() + 1)
    low = np.array(VOWELS_HZ, dtype=float)[vowels][syllable_of]
    formants_hz = (
        np.concatenate([low, np.tile(HIGH_FORMANTS_HZ, (len(low), 1))], axis=1) * voice.tract * manner.formants
    )
    ratio = frequency_hz / formants_hz[:, :, None]
    width = (60 + 0.06 * formants_hz)[:, :, None] / formants_hz[:, :, None]
    gain = np.prod(1 / np.sqrt((1 - ratio**2) ** 2 + (width * ratio) ** 2), axis=1)
    tilt = manner.tilt_db_per_octave + voice.tilt_db_per_octave - 3
    return gain * 10 ** (tilt * np.log2(frequency_hz / 500) / 20) * np.minimum(1, frequency_hz / 100)


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--truth", type=Path, help="where the labels of Test3 go")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of turns and speakers")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        counts = write_corpus(given.folder, truth=given.truth, scale=given.scale, seed=given.seed)
    except ValueError as error:
        sys.exit(f"make_corpus: {error}")
    print(f"wrote {counts.total()} turns into {given.folder}: " + ", ".join(f"{n} {c}" for n, c in counts.items()))


if __name__ == "__main__":
    main()
