"""Fixtures that several test folders share."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # one process a core: more threads would only wait for each other, spinning
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # read when the libraries are imported
        os.environ.setdefault(variable, "1")

import numpy as np
import pytest
import soundfile

from emotune.audio import recordings
from emotune.corpora import CORPORA, read_corpus
from emotune.errors import EmotuneError
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest, Utterance

collect_ignore = ["third_party"]  # importing it would put its folder, and so its entry points, on the path for good
REPOSITORY = Path(__file__).parents[1]
TONES_HZ = {"anger": 440, "neutral": 150}
TONE_SPLITS = ("train", "train", "train", "train", "development", "development")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real recordings and checkpoints; they are third-party data and no part of the project."""
    folder = Path(os.environ.get("EMOTUNE_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} does not exist (set EMOTUNE_SHARED)")
    return folder


@pytest.fixture(scope="session")
def demo_corpus() -> Path:
    """The synthetic corpus that comes with the examples: ``labels.csv`` and ``audio/``."""
    return REPOSITORY / "examples" / "demo" / "corpus"


@pytest.fixture(scope="session")
def tiny_wavlm() -> dict:
    """Config of a WavLM that runs in milliseconds: a frame every 40 ms, nothing random in training."""
    return {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "conv_dim": [8, 8, 8],
        "conv_kernel": [40, 8, 4],
        "conv_stride": [20, 8, 4],
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 4,
        "num_buckets": 16,
        "max_bucket_distance": 40,
        "hidden_dropout": 0.0,
        "activation_dropout": 0.0,
        "attention_dropout": 0.0,
    }


@pytest.fixture(scope="session")
def tones(tmp_path_factory) -> Manifest:
    """24 short clips by six speakers, a high tone for anger and a low one for neutral; arousal follows the class."""
    root = tmp_path_factory.mktemp("tones")
    generator = np.random.default_rng(0)
    utterances = []
    for number in range(24):
        speaker, emotion = number // 4, list(TONES_HZ)[number % 2]
        samples = int(generator.integers(6000, 14000))
        phase = 2 * np.pi * TONES_HZ[emotion] * (1 + 0.05 * speaker) * np.arange(samples) / 16000
        path = root / f"s{speaker}" / f"{number:02d}.wav"
        path.parent.mkdir(exist_ok=True)
        clip = 0.3 * np.sin(phase) + 0.1 * generator.standard_normal(samples)
        soundfile.write(path, clip, 16000, subtype="PCM_16")
        recording = recordings.decode(path)
        utterances.append(
            Utterance(
                f"u{number:02d}",
                path.relative_to(root).as_posix(),
                duration_s=recording.duration_s,
                content_sha256=recording.content_sha256(),
                speaker=f"s{speaker}",
                gender=("female", "male")[speaker % 2],
                split=TONE_SPLITS[speaker],
                emotion=emotion,
            )
        )
    manifest = Manifest(tuple(utterances), LabelSpace(("anger", "neutral")), root, {"corpus": "tones"})
    manifest.write(root / "manifest.csv")
    return manifest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory, tiny_wavlm) -> Path:
    """A model folder with random weights: anger, neutral, and arousal from 1 to 7. Copy it to change it."""
    import torch

    from emotune.audio.preprocessing import Preprocessing
    from emotune.models.backbones import BACKBONES
    from emotune.models.emotion_model import EmotionModel
    from emotune.models.store import save_model
    from emotune.schema.labels import Scale

    torch.manual_seed(0)
    backbone = BACKBONES["wavlm"].from_config(tiny_wavlm)
    space = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})
    folder = tmp_path_factory.mktemp("tiny") / "model"
    preprocessing = Preprocessing(backbone.normalize, max_duration_s=5.0, min_samples=backbone.min_samples)
    save_model(folder, EmotionModel(backbone, space), preprocessing)
    return folder


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def emotune_command(monkeypatch, capsys) -> Callable[..., Ended]:
    """Runs the command line in this process: ``emotune_command("corpus", "show", path)``."""
    from emotune.cli import main

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["emotune", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        shown = capsys.readouterr()
        return Ended(code, shown.out, shown.err)

    return run


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--broken-inputs", type=Path, help="write what each broken input led to into this Markdown file")


@pytest.fixture(autouse=True)
def _broken_input(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With ``--broken-inputs FILE``, one row a test of the test_broken files: what went in, what emotune said."""
    path = request.config.getoption("--broken-inputs")
    if path is None or not request.path.name.startswith("test_broken_"):
        yield
        return
    file, said = request.config.invocation_params.dir / path, list[str]()
    initialise = EmotuneError.__init__

    def remembered(error: EmotuneError, *arguments: object) -> None:
        initialise(error, *arguments)
        said.append(str(error))

    monkeypatch.setattr(EmotuneError, "__init__", remembered)
    yield
    if said:
        room = request.path.stem.removeprefix("test_broken_")
        went_in = request.node.name.removeprefix("test_").replace("_", " ")
        message = re.sub(r"/tmp/pytest-[^ ,:;'\"]*?/(?=[^/ ]*[ ,:;.'\"]|[^/ ]*$)", "", said[-1])
        message = message.replace(f"{REPOSITORY}/src/emotune/recipes/", "").replace(f"{REPOSITORY}/", "")
        cells = [re.sub(r"\s*\n\s*", " ⏎ ", cell).replace("|", "\\|")[:300] for cell in (went_in, message)]
        with open(file, "a", encoding="utf-8") as stream:  # noqa: PTH123 (tests patch Path's)
            line = f"| {room} | {cells[0]} | {cells[1]} |"
            stream.write("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) + "\n")


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """The names of the recordings that are opened, as often as they are."""
    names: list[str] = []
    original = recordings.opened_file

    def counted(stream, name: str):
        names.append(Path(name).name)
        return original(stream, name)

    monkeypatch.setattr(recordings, "opened_file", counted)
    return names


@pytest.fixture
def three_segments(tmp_path) -> Manifest:
    """Two recordings, one of which holds three utterances, with a table of them in another order."""
    generator = np.random.default_rng(5)
    for name in ("long.mp3", "short.wav"):
        soundfile.write(tmp_path / name, 0.1 * generator.standard_normal(64000), 16000)
    rows = ["long.mp3,2.5,4", "short.wav,,", "long.mp3,0,1", "long.mp3,1,2.5"]
    (tmp_path / "rows.csv").write_text("\n".join(["file,start_s,end_s,emotion", *(f"{row},neutral" for row in rows)]))
    return read_corpus(CORPORA["table"], tmp_path / "rows.csv")
