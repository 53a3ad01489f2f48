"""The doctor finds each planted fault, and no longer when it is taken out; the command says so with its exit code."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from emotune import audio
from emotune.corpora import CORPORA, read_corpus
from emotune.doctor import Diagnosis, check_manifest
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance

RATE = 16000
SPACE = LabelSpace(("anger", "neutral"))
SPLIT_OF = {**dict.fromkeys(("v01", "v02", "v03", "v04", "v05", "v06"), "train"), "v07": "development", "v08": "test"}


@pytest.fixture(scope="module")
def clean(tmp_path_factory, demo_corpus) -> Manifest:
    """Eight voices, four clips each, as 16-bit WAV files in splits that no voice crosses."""
    root = tmp_path_factory.mktemp("clean")
    utterances = []
    for voice, split in SPLIT_OF.items():
        for sentence in ("s1", "s2"):
            for emotion in SPACE.classes:
                name = f"{voice}-{sentence}-{emotion}"
                recording = audio.decode(demo_corpus / "audio" / f"{name}.ogg")
                soundfile.write(root / f"{name}.wav", recording.mono(RATE), RATE, subtype="PCM_16")
                content = audio.decode(root / f"{name}.wav").content_sha256()
                known = {"speaker": voice, "gender": "female", "text": sentence, "split": split, "emotion": emotion}
                utterances.append(Utterance(name, f"{name}.wav", content_sha256=content, **known))
    return Manifest(tuple(utterances), SPACE, root)


Plant = Callable[[Utterance, Path], Sequence[Utterance]]
"""A training utterance and the corpus's folder -> what stands in its place; new rows are named ``planted``."""


def copied(suffix: str, change: Callable[[np.ndarray], tuple[np.ndarray, int]], **options: object) -> Plant:
    def plant(source: Utterance, root: Path) -> Sequence[Utterance]:
        samples, rate = change(audio.decode(root / source.file).mono(RATE))
        file = f"copy of {source.utterance_id}{suffix}"
        soundfile.write(root / file, samples, rate, **options)
        new = dataclasses.replace(source, utterance_id="planted", file=file, content_sha256=None, speaker=None)
        return source, dataclasses.replace(new, split="test", text=None)

    return plant


def changed(**fields: object) -> Plant:
    return lambda source, root: [dataclasses.replace(source, utterance_id="planted", **fields)]


def rewritten(change: Callable[[Path], object], *, keep_content: bool = False) -> Plant:
    """The recording itself is another one."""

    def plant(source: Utterance, root: Path) -> Sequence[Utterance]:
        change(root / source.file)
        content = source.content_sha256 if keep_content else None
        return [dataclasses.replace(source, utterance_id="planted", content_sha256=content)]

    return plant


def written(samples: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], object]:
    return lambda path: soundfile.write(path, samples(audio.decode(path).mono(RATE)), RATE, subtype="PCM_16")


def segments_that_overlap(source: Utterance, root: Path) -> Sequence[Utterance]:
    first = dataclasses.replace(source, start_s=0.0, end_s=0.8, content_sha256=None)
    other = {"start_s": 0.5, "end_s": 1.2, "split": "test", "speaker": "somebody else", "text": None}
    return first, dataclasses.replace(first, utterance_id="planted", **other)


def copy_with_another_label(source: Utterance, root: Path) -> Sequence[Utterance]:
    other = next(name for name in SPACE.classes if name != source.emotion)
    new = dataclasses.replace(source, utterance_id="planted", split="test", speaker=None, text=None)
    return source, dataclasses.replace(new, emotion=other)


def id_twice(source: Utterance, root: Path) -> Sequence[Utterance]:
    return [dataclasses.replace(source, utterance_id="planted")] * 2


def loud(samples: np.ndarray, peak: float) -> np.ndarray:
    return np.clip(samples / np.abs(samples).max() * peak, -1, 1)


FAULTS: dict[str, tuple[str, str, Plant]] = {
    "a renamed copy": ("recording_overlap", "planted", copied(".wav", lambda x: (x, RATE), subtype="PCM_16")),
    "a copy as FLAC": ("recording_overlap", "planted", copied(".flac", lambda x: (x, RATE), subtype="PCM_16")),
    "a copy as MP3": ("copy_overlap", "planted", copied(".mp3", lambda x: (x, RATE))),
    "a copy as Ogg": ("copy_overlap", "planted", copied(".ogg", lambda x: (x, RATE))),
    "a trimmed copy": ("copy_overlap", "planted", copied(".wav", lambda x: (x[3210:-1234], RATE))),
    "a louder copy": ("copy_overlap", "planted", copied(".wav", lambda x: (loud(x, 1.4), RATE))),
    "a quieter copy": ("copy_overlap", "planted", copied(".wav", lambda x: (x / 5, RATE))),
    "a copy at 8 kHz": ("copy_overlap", "planted", copied(".wav", lambda x: (soxr.resample(x, RATE, 8000), 8000))),
    "a copy at 44.1 kHz": ("copy_overlap", "planted", copied(".wav", lambda x: (soxr.resample(x, RATE, 44100), 44100))),
    "a stereo copy": ("copy_overlap", "planted", copied(".wav", lambda x: (np.stack([x, x / 2], axis=1), RATE))),
    "another label on a copy": ("label_conflict", "planted", copy_with_another_label),
    "a speaker in two splits": ("speaker_overlap", "planted", changed(split="test")),
    "overlapping segments": ("file_overlap", "planted", segments_that_overlap),
    "a missing file": ("unreadable", "planted", rewritten(Path.unlink)),
    "an empty file": ("unreadable", "planted", rewritten(lambda path: path.write_bytes(b""))),
    "a damaged file": ("unreadable", "planted", rewritten(lambda path: path.write_bytes(path.read_bytes()[:9000]))),
    "a recording that changed": ("changed", "planted", rewritten(written(lambda x: x[:-800]), keep_content=True)),
    "an unknown class": ("invalid_row", "emotion 'rage' is not among", changed(emotion="rage")),
    "a negative vote": ("invalid_row", "votes.anger is -1.0", changed(votes={"anger": -1.0})),
    "a vote for an unknown class": ("unknown_vote", "planted", changed(votes={"angr": 2.0})),
    "an id twice": ("repeated_id", "planted", id_twice),
    "a silent file": ("silent", "planted", rewritten(written(np.zeros_like))),
    "a clipped file": ("clipped", "planted", rewritten(written(lambda x: loud(x, 4)))),
    "a short file": ("short", "planted", rewritten(written(lambda x: x[4000:11000]))),
}
ONLY_NOTES = ("silent", "clipped", "short")


def planted(clean: Manifest, folder: Path, names: Sequence[str]) -> Diagnosis:
    """Check the clean corpus with these faults in it, each in a training utterance of its own."""
    root = folder / "corpus"
    shutil.copytree(clean.root, root)
    places = dict(zip(FAULTS, (u for u in clean if u.split == "train"), strict=False))
    assert len(places) == len(FAULTS)
    plants = {places[name].utterance_id: name for name in names}
    rows: list[Utterance] = []
    for utterance in clean:
        name = plants.get(utterance.utterance_id)
        new = [utterance] if name is None else FAULTS[name][2](utterance, root)
        rows += [dataclasses.replace(u, utterance_id=u.utterance_id.replace("planted", f"planted {name}")) for u in new]
    Manifest(tuple(rows), SPACE, root).write(folder / "manifest.csv")
    return check_manifest(folder / "manifest.csv")


def holds(diagnosis: Diagnosis, name: str) -> bool:
    """Whether the finding of that fault names it."""
    code, sign, _ = FAULTS[name]
    sign = sign.replace("planted", f"planted {name}")
    cases = [case for finding in diagnosis.findings if finding.code == code for case in finding.cases]
    return any(sign in case.text or sign in case.utterances for case in cases)


@pytest.fixture(scope="module")
def all_faults(clean, tmp_path_factory) -> Diagnosis:
    return planted(clean, tmp_path_factory.mktemp("all"), list(FAULTS))


@pytest.mark.parametrize("name", FAULTS)
def test_each_planted_fault_is_found_among_all_the_others(all_faults, name):
    assert holds(all_faults, name)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_was_taken_out_is_no_longer_found(clean, tmp_path, name):
    assert not holds(planted(clean, tmp_path, [other for other in FAULTS if other != name]), name)


@pytest.mark.parametrize("name", FAULTS)
def test_a_single_fault_decides_between_error_and_note(clean, tmp_path, name):
    diagnosis = planted(clean, tmp_path, [name])
    assert bool(diagnosis.errors) == (FAULTS[name][0] not in ONLY_NOTES)


def test_every_broken_row_is_named_with_its_number(all_faults):
    (finding,) = [finding for finding in all_faults.errors if finding.code == "invalid_row"]
    assert [case.text.split(":")[0] for case in finding.cases] == ["row 30", "row 31"]


def test_a_class_at_a_sampling_rate_of_its_own_is_noted(clean, tmp_path):
    for utterance in clean:
        samples, rate = audio.decode(clean.path_of(utterance)).mono(RATE), RATE
        if utterance.emotion == "anger":
            samples, rate = soxr.resample(samples, RATE, 8000), 8000
        soundfile.write(tmp_path / utterance.file, samples, rate, subtype="PCM_16")
    rows = [dataclasses.replace(utterance, content_sha256=None) for utterance in clean]
    Manifest(tuple(rows), SPACE, tmp_path).write(tmp_path / "m.csv")
    found = {f.code: f.examples for f in check_manifest(tmp_path / "m.csv").notes}
    assert found["confounded_sampling_rate"] == ("anger: 8000 Hz", "neutral: 16000 Hz")
    assert "confounded_channel_count" not in found


def test_the_command_ends_with_0_for_notes_and_1_for_errors_and_2_for_what_is_no_manifest(
    clean, tmp_path, emotune_command
):
    clean.write(tmp_path / "clean.csv")
    ended = emotune_command("corpus", "check", tmp_path / "clean.csv", "--json", "-o", tmp_path / "report.json")
    assert ended.code == 0, ended.err
    content = json.loads(ended.out)
    assert content == json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (content["errors"], content["utterances"]) == (0, len(clean))
    (texts,) = [finding for finding in content["findings"] if finding["code"] == "shared_text"]
    assert (texts["severity"], texts["count"]) == ("note", 2)

    planted(clean, tmp_path / "faults", ["a copy as MP3", "a missing file"])
    ended = emotune_command("corpus", "check", tmp_path / "faults" / "manifest.csv")
    assert ended.code == 1
    assert "planted a copy as MP3 in test" in ended.out
    assert "2 errors" in ended.out

    (tmp_path / "table.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    assert emotune_command("corpus", "check", tmp_path / "table.csv").code == 2


def test_reading_a_corpus_names_what_copies_what(clean, tmp_path):
    root = tmp_path / "corpus"
    shutil.copytree(clean.root, root)
    source = clean.utterances[0]
    samples = audio.decode(root / source.file).mono(RATE)
    soundfile.write(root / "trimmed.mp3", samples[2000:], RATE)
    shutil.copy(root / source.file, root / "same.wav")
    files = [*(u.file for u in clean), "trimmed.mp3", "same.wav"]
    (root / "labels.csv").write_text("file,emotion\n" + "".join(f"{file},anger\n" for file in files), encoding="utf-8")
    manifest = read_corpus(CORPORA["table"], root / "labels.csv")
    first = next(u.utterance_id for u in manifest if u.file == source.file)
    assert {u.file: u.copy_of for u in manifest if u.copy_of} == {"trimmed.mp3": first, "same.wav": first}
    assert [u.file for u in manifest] == files
    manifest.write(tmp_path / "m.csv")
    assert [u.copy_of for u in Manifest.read(tmp_path / "m.csv")] == [u.copy_of for u in manifest]


@pytest.mark.parametrize("name", ["m.csv", "m.csv.meta.json", "link.csv"])
def test_findings_do_not_replace_the_manifest_or_its_metadata(tones, tmp_path, emotune_command, name):
    tones.write(tmp_path / "m.csv")
    (tmp_path / "link.csv").symlink_to(tmp_path / "m.csv")
    before = (tmp_path / name).read_bytes()
    ended = emotune_command("corpus", "check", tmp_path / "m.csv", "-o", tmp_path / name)
    assert ended.code == 2 and "is an input and would be overwritten" in ended.err
    assert (tmp_path / name).read_bytes() == before
