"""Fixtures that several test folders share."""

import gc
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # one process a core: more threads would only wait for each other, spinning
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # read when the libraries are imported
        os.environ.setdefault(variable, "1")

import numpy as np
import pytest
import soundfile

from builders.command import Ended, run_command
from builders.figures import BlankFigure
from builders.recordings import write_tones
from emotune.audio import recordings
from emotune.corpora import CORPORA, read_corpus
from emotune.errors import EmotuneError
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest

collect_ignore = ["third_party"]  # importing it would put its folder, and so its entry points, on the path for good
REPOSITORY = Path(__file__).parents[1]


def pytest_collection_finish() -> None:
    """Lets the collector of garbage leave modules and tests alone, which stay to the end."""
    gc.freeze()


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
    from builders.models import WAVLM

    return dict(WAVLM)


@pytest.fixture(scope="session")
def tones(tmp_path_factory) -> Manifest:
    """24 short clips by six speakers, a high tone for anger and a low one for neutral; arousal follows the class."""
    return write_tones(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A model folder with random weights: anger, neutral, and arousal from 1 to 7. Copy it to change it."""
    from builders.models import save_tiny_model

    space = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})
    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "model", space)


class Drawing:
    """Says if figures of pages are drawn in the running test: in tests/report, and with the mark ``drawn``."""

    wanted = False


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    of_reports = REPOSITORY / "tests" / "report" in item.path.parents
    Drawing.wanted = of_reports or item.get_closest_marker("drawn") is not None


@pytest.fixture(scope="session", autouse=True)
def _undrawn_figures() -> Iterator[None]:
    """Leaves figures of pages blank where they are not wanted: all of our code runs, matplotlib's does not."""
    try:
        from emotune.report.figures import canvas, curves, scatter
    except (ImportError, EmotuneError):  # without the extra
        yield
        return
    figure = canvas.Figure
    with pytest.MonkeyPatch.context() as patch:
        for module in (canvas, curves, scatter):
            patch.setattr(module, "Figure", lambda **o: figure(**o) if Drawing.wanted else BlankFigure(**o))
        yield


@pytest.fixture
def emotune_command() -> Callable[..., Ended]:
    """Runs the command line in this process: ``emotune_command("corpus", "show", path)``."""
    return run_command


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
