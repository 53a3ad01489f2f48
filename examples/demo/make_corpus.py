"""Renders the demo corpus: synthetic voices that speak in four emotions by published prosody rules.

    python examples/demo/make_corpus.py            # writes examples/demo/corpus
    python examples/demo/make_corpus.py --check    # renders again elsewhere and compares the decoded samples

Needs the `espeak-ng` program, and only this script does: the corpus itself ships with the project.

The rules, as Schröder (2001) tabulates them, with what each becomes here. The left column is theirs, quoted to the best
of our knowledge and not checked again against the papers; the right column and everything it does not name is ours.

    anger (Murray & Arnott 1995)
        F0 mean +10 Hz                           pitch +10 Hz
        F0 range +9 semitones                    range x 2, the most that espeak-ng allows
        tempo +30 words per minute               rate +30 words per minute
        loudness +6 dB                           level +6 dB
        laryngealisation +78 %                   irregular periods: 0.2 ms of jitter
        stressed vowels +10 to +40 % of range    pitch of stressed words +20 %
        F4 -175 Hz                               left out; instead a tense voice: tilt +3.5 dB per octave
    happiness (joy of Burkhardt & Sendlmeier 2000)
        F0 mean +50 %                            pitch x 1.5
        F0 range +100 %                          range x 2
        tempo +30 %                              rate x 1.3
        lip spreading: F1 and F2 +10 %           all formants x 1.1
        voice quality modal or tense             tilt +1.5 dB per octave
        wave contour: stressed syllables +100 %  pitch of stressed words +50 %
        (nothing on loudness)                    level +2 dB
    sadness (Cahn 1990, on her scale of -10 to +10)
        F0 reference line -1                     pitch x 0.93
        F0 range -5                              range x 0.5
        tempo -10                                rate x 0.75
        loudness -5                              level -5 dB
        breathiness +10, brilliance -9           breath noise at -10 dB, tilt -4.5 dB per octave

Neutral leaves the voice as it is. Every utterance follows its rule with a strength of its own, scattered a little, so
that emotions overlap; every voice has a recording level and a microphone tilt of its own, so that energy alone tells
little. All of it is drawn from a generator seeded by the name of the voice or utterance.

References:
    Burkhardt & Sendlmeier (2000), Verification of acoustical correlates of emotional speech using formant-synthesis,
        ISCA Workshop on Speech and Emotion.
    Cahn (1990), The generation of affect in synthesized speech, Journal of the American Voice I/O Society 8.
    Murray & Arnott (1995), Implementation and testing of a system for producing emotion-by-rule in synthetic speech,
        Speech Communication 16.
    Schröder (2001), Emotional speech synthesis: a review, Eurospeech.
"""

import argparse
import csv
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

CORPUS = Path(__file__).resolve().parent / "corpus"
SAMPLING_RATE_HZ = 16000
WORKING_RATE_HZ = 48000
EDGE_S = 0.05
LEVEL_DB = -32.0
COMPRESSION_LEVEL = 0.97  # of libsndfile, 0 to 1: 13.5 kbit/s of Opus

SENTENCES = (  # the stressed words between asterisks
    "The *cloth* is on the *fridge*.",
    "She will *bring* it on *Monday*.",
    "They *carried* it *upstairs*.",
    "In *seven* hours it is *time*.",
    "The *bags* are under the *table*.",
)
STRESSED = re.compile(r"\*(\w+)\*(\.?)")


@dataclass(frozen=True)
class Voice:
    """One speaker: an espeak-ng voice and its neutral pitch in Hz."""

    name: str
    gender: str
    pitch_hz: float


VOICES = {
    "v01": Voice("en-us+m8", "male", 84),
    "v02": Voice("en-gb-x-gbclan+anika", "female", 251),
    "v03": Voice("en-gb-scotland+m2", "male", 98),
    "v04": Voice("en-us+f2", "female", 186),
    "v05": Voice("en-gb-x-rp+m3", "male", 102),
    "v06": Voice("en-gb-scotland+f3", "female", 195),
    "v07": Voice("en+m4", "male", 92),
    "v08": Voice("en-us+Annie", "female", 227),
    "v09": Voice("en-us+m7", "male", 103),
    "v10": Voice("en-gb-x-rp+belinda", "female", 220),
    "v11": Voice("en+max", "male", 99),
    "v12": Voice("en-gb-scotland+f4", "female", 172),
    "v13": Voice("en-us-nyc+Michael", "male", 107),
    "v14": Voice("en+Andrea", "female", 238),
    "v15": Voice("en-gb-x-gbclan+Lee", "male", 95),
    "v16": Voice("en-us+steph", "female", 171),
    "v17": Voice("en-us+m6", "male", 99),
    "v18": Voice("en+Alicia", "female", 242),
    "v19": Voice("en-gb-scotland+Denis", "male", 97),
    "v20": Voice("en-us+aunty", "female", 173),
    "v21": Voice("en+m5", "male", 99),
    "v22": Voice("en-us+f5", "female", 196),
    "v23": Voice("en-us+m1", "male", 93),
    "v24": Voice("en+f1", "female", 172),
}


@dataclass(frozen=True)
class Prosody:
    """What an utterance changes about its voice; the defaults change nothing."""

    pitch_ratio: float = 1.0
    pitch_shift_hz: float = 0.0
    range_ratio: float = 1.0
    stress_percent: float = 0.0
    rate_ratio: float = 1.0
    rate_shift_wpm: float = 0.0
    formant_ratio: float = 1.0
    level_db: float = 0.0
    tilt_db_per_octave: float = 0.0
    breath_db: float = -34.0
    jitter_ms: float = 0.0


EMOTIONS = {
    "anger": Prosody(
        pitch_shift_hz=10,
        range_ratio=2,
        stress_percent=20,
        rate_shift_wpm=30,
        level_db=6,
        tilt_db_per_octave=3.5,
        jitter_ms=0.2,
    ),
    "happiness": Prosody(
        pitch_ratio=1.5,
        range_ratio=2,
        stress_percent=50,
        rate_ratio=1.3,
        formant_ratio=1.1,
        level_db=2,
        tilt_db_per_octave=1.5,
    ),
    "neutral": Prosody(),
    "sadness": Prosody(
        pitch_ratio=0.93, range_ratio=0.5, rate_ratio=0.75, level_db=-5, tilt_db_per_octave=-4.5, breath_db=-10
    ),
}
NEUTRAL_RATE_WPM = 175
SPLIT_OF_EACH_GENDER = ("test",) * 2 + ("development",) * 2 + ("train",) * 8


def splits() -> dict[str, str]:
    """The split of every speaker: drawn by the hash of the voice's name, so that no result could choose it."""
    drawn = {}
    for gender in ("female", "male"):
        speakers = [speaker for speaker, voice in VOICES.items() if voice.gender == gender]
        speakers.sort(key=lambda speaker: hashlib.sha256(VOICES[speaker].name.encode()).hexdigest())
        drawn |= dict(zip(speakers, SPLIT_OF_EACH_GENDER, strict=True))
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="compare a new rendering with the shipped corpus")
    arguments = parser.parse_args()
    if shutil.which("espeak-ng") is None:
        sys.exit("make_corpus: cannot find the program espeak-ng. Install it, for example: apt-get install espeak-ng")
    if arguments.check:
        with tempfile.TemporaryDirectory() as folder:
            write_corpus(Path(folder))
            differences = compare(CORPUS, Path(folder))
        if differences:
            sys.exit("\n".join([*differences, f"make_corpus: {len(differences)} differences from {CORPUS}"]))
        print(f"make_corpus: a new rendering is the same as {CORPUS}")
    else:
        print(f"make_corpus: wrote {write_corpus(CORPUS)} utterances to {CORPUS}")


def write_corpus(folder: Path) -> int:
    """Renders every utterance into folder/audio beside folder/labels.csv, in place of what was there."""
    # espeak-ng speaks with the plain voice, without a word, where it does not find the variant after the plus.
    plain = {speak(voice, SENTENCES[0], Prosody()).tobytes() for voice in VOICES.values()}
    if len(plain) < len(VOICES):
        sys.exit("make_corpus: this espeak-ng lacks some of the voices, so that two sound the same. Expected: 1.51")
    audio = folder / "audio"
    shutil.rmtree(audio, ignore_errors=True)
    audio.mkdir(parents=True)
    rows = []
    split_of = splits()
    for speaker, voice in VOICES.items():
        for number, text in enumerate(SENTENCES, start=1):
            for emotion in EMOTIONS:
                file = f"audio/{speaker}-s{number}-{emotion}.ogg"
                write_opus(folder / file, utterance(speaker, text, emotion))
                rows.append((file, emotion, speaker, voice.gender, text.replace("*", ""), split_of[speaker]))
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("file", "emotion", "speaker", "gender", "text", "split"))
        writer.writerows(rows)
    return len(rows)


def utterance(speaker: str, text: str, emotion: str) -> np.ndarray:
    """One utterance at 16 kHz, float64, shape (samples,)."""
    voice, generator = VOICES[speaker], generator_for(f"{speaker}/{text}/{emotion}")
    prosody = scattered(EMOTIONS[emotion], generator)
    samples = speak(voice, text, prosody)
    samples = warp(samples, prosody, generator)
    samples = soxr.resample(samples, WORKING_RATE_HZ, SAMPLING_RATE_HZ)
    samples = add_breath(samples, prosody.breath_db, generator)

    recording = generator_for(speaker)
    recording_gain_db, recording_tilt_db = recording.uniform(-8, 8), recording.uniform(-0.7, 0.7)
    samples = tilt(samples, prosody.tilt_db_per_octave + recording_tilt_db)
    samples = trim(samples)
    gain_db = LEVEL_DB + prosody.level_db + recording_gain_db - 10 * np.log10(np.mean(samples**2))
    samples = samples * 10 ** (gain_db / 20)
    samples = samples * min(1.0, 0.95 / np.abs(samples).max())
    return np.pad(samples, round(EDGE_S * SAMPLING_RATE_HZ))


def generator_for(name: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


def scattered(rule: Prosody, generator: np.random.Generator) -> Prosody:
    """The rule at a random strength, with every parameter moved a little."""
    strength = generator.uniform(0.8, 1.2)

    def ratio(value: float, spread: float) -> float:
        return float(value**strength * np.exp(generator.normal(0, spread)))

    return Prosody(
        pitch_ratio=ratio(rule.pitch_ratio, 0.04),
        pitch_shift_hz=strength * rule.pitch_shift_hz,
        range_ratio=ratio(rule.range_ratio, 0.12),
        stress_percent=max(0.0, strength * rule.stress_percent + generator.normal(0, 5)),
        rate_ratio=ratio(rule.rate_ratio, 0.04),
        rate_shift_wpm=strength * rule.rate_shift_wpm,
        formant_ratio=ratio(rule.formant_ratio, 0.01),
        level_db=strength * rule.level_db + generator.normal(0, 2),
        tilt_db_per_octave=strength * rule.tilt_db_per_octave + generator.normal(0, 0.5),
        breath_db=-34 + strength * (rule.breath_db + 34) + generator.normal(0, 2),
        jitter_ms=strength * rule.jitter_ms + abs(generator.normal(0, 0.02)),
    )


def speak(voice: Voice, text: str, prosody: Prosody) -> np.ndarray:
    """The sentence by espeak-ng, at the working rate; a later speed-up by the formant ratio is allowed for."""
    pitch_ratio = (prosody.pitch_ratio + prosody.pitch_shift_hz / voice.pitch_hz) / prosody.formant_ratio
    rate_wpm = (NEUTRAL_RATE_WPM * prosody.rate_ratio + prosody.rate_shift_wpm) / prosody.formant_ratio
    # espeak-ng's pitch of 0 to 99 is nearly logarithmic: measured, 66 steps an octave around 50.
    pitch = np.clip(round(50 + 66 * np.log2(pitch_ratio)), 0, 99)
    span = np.clip(round(100 * prosody.range_ratio), 0, 200)
    command = ["espeak-ng", "-m", "-v", voice.name, "-p", str(pitch), "-s", str(round(rate_wpm)), "-a", "60"]
    stressed = rf'<prosody pitch="+{round(prosody.stress_percent)}%">\1\2</prosody>'
    markup = f'<speak><prosody range="{span}%">{STRESSED.sub(stressed, text)}</prosody></speak>'
    done = subprocess.run([*command, "--stdout", markup], capture_output=True, check=False)
    if done.returncode or done.stderr or not done.stdout:
        sys.exit(f"make_corpus: espeak-ng failed for voice {voice.name}: {done.stderr.decode().strip() or 'no sound'}")
    samples, rate_hz = soundfile.read(io.BytesIO(done.stdout))
    return soxr.resample(trim(samples), rate_hz, WORKING_RATE_HZ)


def trim(samples: np.ndarray) -> np.ndarray:
    """Cuts what is 46 dB below the peak off both ends."""
    loud = np.flatnonzero(np.abs(samples) > 0.005 * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + 1]


def warp(samples: np.ndarray, prosody: Prosody, generator: np.random.Generator) -> np.ndarray:
    """Moves the formants (with pitch and rate) and makes the periods irregular, by reading at other instants."""
    positions = np.arange(0, len(samples) - 1, prosody.formant_ratio)
    knots = generator.normal(0, prosody.jitter_ms * 1e-3 * WORKING_RATE_HZ, len(positions) // 240 + 2)  # each 5 ms
    shift = np.interp(np.arange(len(positions)) / 240, np.arange(len(knots)), knots)
    return np.interp(positions + shift, np.arange(len(samples)), samples)


def add_breath(samples: np.ndarray, breath_db: float, generator: np.random.Generator) -> np.ndarray:
    """Adds noise above 1 kHz that follows the envelope of the voice."""
    noise = np.fft.rfft(generator.normal(size=len(samples)))
    noise[np.fft.rfftfreq(len(samples), 1 / SAMPLING_RATE_HZ) < 1000] = 0
    noise = np.fft.irfft(noise, len(samples))
    window = np.hanning(640)  # 40 ms
    envelope = np.sqrt(np.convolve(samples**2, window / window.sum(), mode="same"))
    return samples + 10 ** (breath_db / 20) * envelope * noise


def tilt(samples: np.ndarray, tilt_db_per_octave: float) -> np.ndarray:
    """Tilts the spectrum around 500 Hz, flat below 125 Hz."""
    frequency_hz = np.fft.rfftfreq(len(samples), 1 / SAMPLING_RATE_HZ)
    gain_db = tilt_db_per_octave * np.log2(np.maximum(frequency_hz, 125) / 500)
    return np.fft.irfft(np.fft.rfft(samples) * 10 ** (gain_db / 20), len(samples))


def write_opus(path: Path, samples: np.ndarray) -> None:
    settings = {"format": "OGG", "subtype": "OPUS", "compression_level": COMPRESSION_LEVEL}
    with soundfile.SoundFile(path, "w", SAMPLING_RATE_HZ, 1, **settings) as stream:
        # Rounded to 16 bits, so that the last bit of a float cannot change what is encoded.
        stream.write(np.round(samples * 32767).astype(np.int16))


def compare(shipped: Path, rendered: Path) -> list[str]:
    """What differs between two corpus folders, one line each; audio by its decoded samples."""
    if not (shipped / "labels.csv").is_file():
        return [f"{shipped / 'labels.csv'}: missing, run without --check first"]
    differences = []
    if (shipped / "labels.csv").read_bytes() != (rendered / "labels.csv").read_bytes():
        differences.append("labels.csv: differs")
    names = [{str(path.relative_to(folder)) for path in folder.glob("audio/*")} for folder in (shipped, rendered)]
    differences += [f"{name}: only in one of the two" for name in sorted(names[0] ^ names[1])]
    for name in sorted(names[0] & names[1]):
        if decoded_sha256(shipped / name) != decoded_sha256(rendered / name):
            differences.append(f"{name}: decodes to other samples")
    return differences


def decoded_sha256(path: Path) -> str:
    samples, rate_hz = soundfile.read(path, dtype="int16")
    return hashlib.sha256(f"{rate_hz} {samples.shape}".encode() + samples.tobytes()).hexdigest()


if __name__ == "__main__":
    main()
