"""The leakage doctor on real recordings: how long it takes, and how far copies lie from different takes.

    python benchmarks/doctor.py RAVDESS_FOLDER [OTHER_CORPUS_FOLDER ...] [--clips 200]

Of every corpus, ``--clips`` recordings are distorted in each way, compared with their original at the distance in time
that fits best, and searched among all recordings. The nearest different takes are the candidates that the doctor itself
compares. Then the whole check runs on RAVDESS, actors 1-16 / 17-20 / 21-24.
"""

import argparse
import dataclasses
import io
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
import soxr

from emotune import audio
from emotune.audio.fingerprint import RATE_HZ, Fingerprint, fingerprint
from emotune.audio.near_copies import BIT_ERROR_LIMITS, bit_error_rate, candidates, near_copies
from emotune.corpora import CORPORA, read_corpus
from emotune.doctor import check_manifest


def coded(samples: np.ndarray, rate: int, container: str, **options: object) -> tuple[np.ndarray, int]:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=container, **options)
    stream.seek(0)
    return soundfile.read(stream, dtype="float32")


def distorted(clip: np.ndarray, rate: int, generator: np.random.Generator) -> Iterator[tuple[str, np.ndarray, int]]:
    """The same recording, as it comes back from other hands."""
    head, tail = (int(generator.uniform(0.1, 0.4) * rate) for _ in range(2))
    yield "head cut by 0.1 to 0.4 s", clip[head:], rate
    yield "head and tail cut", clip[head:-tail], rate
    yield "14 dB quieter, 16 bits", np.round(clip * 0.2 * 32768) / 32768, rate
    yield "6 dB louder, clipped", np.clip(clip / np.abs(clip).max() * 2, -1, 1), rate
    yield "mp3", *coded(clip, rate, "MP3")
    yield "mp3, lowest quality", *coded(clip, rate, "MP3", compression_level=0.99)
    yield "ogg vorbis", *coded(clip, rate, "OGG", subtype="VORBIS")
    yield "ogg vorbis, lowest quality", *coded(clip, rate, "OGG", subtype="VORBIS", compression_level=1.0)
    yield "mu-law", *coded(clip, rate, "WAV", subtype="ULAW")
    yield "to 44.1 kHz", soxr.resample(clip, rate, 44100), 44100
    narrow = soxr.resample(clip, rate, 8000)
    yield "to 8 kHz", narrow, 8000
    yield "8 kHz, head cut, mp3", *coded(narrow[int(head * 8000 / rate) :], 8000, "MP3")
    noise = generator.standard_normal(len(clip)) * np.sqrt(np.mean(clip**2))
    yield "noise 20 dB under it", clip + 0.1 * noise, rate


def heard(path: Path) -> Fingerprint:
    return fingerprint(audio.decode(path).mono(RATE_HZ))


def best_rate(one: Fingerprint, other: Fingerprint) -> float:
    """The lowest bit error rate over all distances in time up to a second."""
    return min(bit_error_rate(one, other, distance) for distance in range(-83, 84))


def measure(folder: Path, clips: int) -> None:
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in audio.SUFFIXES]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        prints = list(pool.map(heard, paths))
    names = [str(path) for path in paths]
    own = [(pair.first, pair.second) for pair in near_copies(prints, names)]
    print(f"\n{folder}: {len(paths)} recordings; near copies among them: {len(own)}")
    for first, second in own:
        print(f"  {paths[first].stem} = {paths[second].stem}, {best_rate(prints[first], prints[second]):.4f}")
    generator = np.random.default_rng(0)
    chosen = generator.choice(len(paths), min(clips, len(paths)), replace=False).tolist()
    copies: dict[str, list[tuple[int, Fingerprint]]] = {}
    for position in chosen:
        recording = audio.decode(paths[position])
        for name, samples, rate in distorted(recording.samples.mean(axis=1), recording.sampling_rate_hz, generator):
            copy = audio.decode((samples.astype(np.float32), rate)).mono(RATE_HZ)
            copies.setdefault(name, []).append((position, fingerprint(copy)))
    print(f"{'distortion':<28}{'median':>8}{'95 %':>8}{'worst':>8}{'found':>10}{'wrongly':>9}")
    for name, made in copies.items():
        rates = [best_rate(prints[position], copy) for position, copy in made]
        pairs = near_copies([*prints, *(copy for _, copy in made)], [*names, *(f"copy {n}" for n in range(len(made)))])
        pairs = {(p.first, p.second - len(prints)) for p in pairs if p.first < len(prints) <= p.second}
        wanted = {(position, number) for number, (position, _) in enumerate(made)}
        twins = {(b if a == p else a, n) for n, (p, _) in enumerate(made) for a, b in own if p in (a, b)}
        found = f"{len(pairs & wanted)}/{len(wanted)}"
        middle, high = np.percentile(rates, [50, 95])
        print(f"{name:<28}{middle:8.3f}{high:8.3f}{max(rates):8.3f}{found:>10}{len(pairs - wanted - twins):9}")
    takes: dict[tuple[int, int], float] = {}
    for first, second, distance in candidates(prints, names):
        rate = min(bit_error_rate(prints[first], prints[second], distance + step) for step in (-1, 0, 1))
        if rate < 1 and (first, second) not in own:
            takes[first, second] = min(rate, takes.get((first, second), 1.0))
    nearest = sorted(takes.items(), key=lambda item: item[1])
    print(f"different takes compared: {len(takes)}; limit {max(BIT_ERROR_LIMITS.values())}; the nearest:")
    for (first, second), rate in nearest[:5]:
        print(f"  {rate:.3f}  {paths[first].stem}  {paths[second].stem}")


def excerpts(folder: Path, shortest_s: float, longest_s: float) -> None:
    """Four random stretches of every recording: pairs across recordings are wrong, but for copies in the corpus."""
    generator = np.random.default_rng(0)
    prints, names = [], []
    for path in sorted(folder.rglob("*")):
        if path.suffix in audio.SUFFIXES:
            clip = audio.trim_silence(audio.decode(path).mono(RATE_HZ), threshold_db=40, sampling_rate_hz=RATE_HZ)
            for _ in range(4):
                length = int(generator.uniform(shortest_s, longest_s) * RATE_HZ)
                start = int(generator.integers(0, max(1, len(clip) - length)))
                prints.append(fingerprint(clip[start : start + length]))
                names.append(path.stem)
    found = {(names[pair.first], names[pair.second]) for pair in near_copies(prints, names)}
    print(f"{len(prints)} excerpts of {shortest_s:g} to {longest_s:g} s; recordings called near copies: {len(found)}")
    for first, second in sorted(found):
        print(f"  {first} = {second}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="RAVDESS first, then others")
    parser.add_argument("--clips", type=int, default=200, help="so many recordings of each corpus are distorted")
    options = parser.parse_args()
    for folder in options.folders:
        measure(folder, options.clips)
        excerpts(folder, 0.5, 1.0)
        excerpts(folder, 0.9, 1.8)
    began = time.perf_counter()
    manifest = read_corpus(CORPORA["ravdess"], options.folders[0])
    print(f"\nemotune corpus read: {len(manifest)} utterances in {time.perf_counter() - began:.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.csv"
        split_of = {f"{n:02d}": "train" if n <= 16 else "development" if n <= 20 else "test" for n in range(1, 25)}
        manifest.replace_utterances([dataclasses.replace(u, split=split_of[u.speaker or ""]) for u in manifest]).write(
            path
        )
        began = time.perf_counter()
        diagnosis = check_manifest(path)
        seconds = time.perf_counter() - began
    print(f"emotune corpus check: {diagnosis.utterances} utterances in {seconds:.1f} s on {os.cpu_count()} cores")
    for finding in diagnosis.findings:
        print(f"  {finding.severity}: {finding.sentence}")


if __name__ == "__main__":
    main()
