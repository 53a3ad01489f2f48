"""Only hf: names reach the Hub; every other name is a folder, and where it is none its neighbour is named."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import emotune
from builders.recordings import write_recording
from emotune.enrichment import pretrained, speech_recogniser
from emotune.errors import ConfigError, ModelError, page_here
from emotune.inference.jobs.workers import WorkerEngine
from emotune.io.hub import fetch, from_everywhere
from emotune.models.backbones.checkpoint import load_pretrained
from emotune.models.folder import find_model_folder

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CARD = "---\nlicense: cc-by-nc-4.0\ntags: [audio]\n---\n# A model\n"


class Hub:
    """A stand-in for the Hub with one model, that remembers what it was asked."""

    def __init__(self, tmp_path: Path, content: Path | None = None) -> None:
        self.folder = tmp_path / "cache" / "snapshots" / COMMIT
        if content is None:
            self.folder.mkdir(parents=True)
        else:
            shutil.copytree(content, self.folder)
        (self.folder / "README.md").write_text(CARD)
        self.asked: list[tuple[str, str | None]] = []

    def __call__(self, repository: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        self.asked.append((repository, revision))
        return str(self.folder)


def never(*_, **__) -> str:
    pytest.fail("asked the Hub")


def test_a_hub_name_is_fetched_and_its_name_commit_and_licence_are_noted(tmp_path, tiny_model, caplog):
    hub = Hub(tmp_path, tiny_model)
    with caplog.at_level(logging.INFO, logger="emotune"):
        found = find_model_folder("hf:someone/calls@v1", download=hub)
    assert hub.asked == [("someone/calls", "v1")]
    assert found.folder == hub.folder
    assert found.name == f"hf:someone/calls@{COMMIT}"
    assert caplog.messages == [
        "from the Hugging Face Hub: model someone/calls, commit 0123456789ab, licence cc-by-nc-4.0"
    ]


@pytest.mark.parametrize(
    ("front", "licence"),
    [
        ("license: mit", "mit"),
        ("license: [mit, apache-2.0]", "mit, apache-2.0"),
        ("license: other\nlicense_name: my-own", "my-own"),
        ("license: other", "other"),
        ("tags: [audio]", None),
        ("license: [", None),
        ("- license", None),
        ("license: |\n  two\n  lines", "two lines"),
        ("license: " + "[" * 5000, None),
    ],
)
def test_the_licence_is_that_of_the_cards_front_matter(tmp_path, front, licence):
    hub = Hub(tmp_path)
    (hub.folder / "README.md").write_text(f"---\n{front}\n---\n# license: none\n")
    assert fetch("hf:a/b", patterns=["x"], what="model", download=hub).licence == licence
    (hub.folder / "README.md").write_text("no front matter\n---\nlicense: mit\n---\n")
    assert fetch("hf:a/b", patterns=["x"], what="model", download=hub).licence is None


@pytest.mark.parametrize(
    "name", ["hf:", "hf:calls", "hf:a/b/c", "hf:a/b@", "hf:../b", "hf:a/b@../x", "hf:a/b c", "hf:/a/b", "hf:a//b"]
)
def test_a_name_of_another_shape_is_refused_before_the_hub_is_asked(name):
    with pytest.raises(ConfigError, match="expected hf:owner/name"):
        find_model_folder(name, download=never)


def test_two_revisions_are_refused_and_the_same_twice_is_not(tmp_path):
    with pytest.raises(ConfigError, match="Name one of the two"):
        fetch("hf:a/b@v1", revision="v2", patterns=["x"], what="model", download=never)
    hub = Hub(tmp_path)
    fetch("hf:a/b@v1", revision="v1", patterns=["x"], what="model", download=hub)
    fetch("hf:a/b", revision="v2", patterns=["x"], what="model", download=hub)
    assert hub.asked == [("a/b", "v1"), ("a/b", "v2")]


def test_a_hub_that_cannot_be_reached_is_one_error_that_names_what_was_wanted():
    def unreachable(*_, **__):
        raise ConnectionError

    with pytest.raises(ModelError, match=r"has no model a/b at revision v1 \(ConnectionError\)"):
        find_model_folder("hf:a/b@v1", download=unreachable)


def test_a_snapshot_without_config_is_no_model(tmp_path):
    with pytest.raises(ModelError, match=r"hf:a/b on the Hugging Face Hub holds no config\.json"):
        find_model_folder("hf:a/b", download=Hub(tmp_path))


NEIGHBOURS = {
    "runs/cals": ("did you mean runs/calls?", "named hf:runs/cals"),
    "rnus/calls": ("did you mean runs/calls?", "named hf:rnus/calls"),
    "rnus/cals": ("did you mean runs/calls?", "named hf:rnus/cals"),
    "./runs/cals": ("did you mean runs/calls?", None),
    "run": ("did you mean runs?", None),
    "runs/calls/models": ("did you mean runs/calls/model?", None),
    "runs/quite-another": ("There is no folder runs/quite-another. ", "named hf:runs/quite-another"),
    "microsoft/wavlm-large": ("There is no folder microsoft/wavlm-large. ", "named hf:microsoft/wavlm-large"),
    "/no/such": ("There is no folder /no/such.", None),
}


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_a_name_that_is_no_folder_is_an_error_with_its_neighbour_and_never_a_question_to_the_hub(
    tmp_path, monkeypatch, name
):
    (tmp_path / "runs" / "calls" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    nearby, hub = NEIGHBOURS[name]
    with pytest.raises(ModelError) as caught:
        find_model_folder(name, download=never)
    assert nearby in str(caught.value)
    assert (hub or "hf:") in str(caught.value) if hub else "hf:" not in str(caught.value)
    with pytest.raises(ModelError) as caught:
        pretrained.find_pretrained(name, revision=None, patterns=["x"], what="text encoder", download=never)
    assert nearby in str(caught.value)


def test_a_whisper_size_is_a_name_of_the_hub_and_a_misspelt_one_is_not(monkeypatch):
    sizes = pytest.importorskip("faster_whisper.utils")._MODELS
    asked = []

    def find(name, **options):
        asked.append(name)
        return pretrained.Pretrained(Path(), name, "1")

    monkeypatch.setattr(speech_recogniser, "find_pretrained", find)
    speech_recogniser.find_recogniser("small", None)
    speech_recogniser.find_recogniser("smalll", None)
    assert asked == ["hf:" + sizes["small"], "smalll"]


def test_a_plain_checkpoint_is_a_published_encoder_unless_a_folder_of_its_makers_name_is_here(tmp_path, monkeypatch):
    hub = Hub(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"config\.json cannot be read"):  # the stand-in has none: it was asked
        load_pretrained("wavlm", "microsoft/wavlm-large", download=hub)
    assert hub.asked[0] == ("microsoft/wavlm-large", None)
    (tmp_path / "microsoft" / "wavlm-large").mkdir(parents=True)
    with pytest.raises(ModelError, match="did you mean microsoft/wavlm-large"):
        load_pretrained("wavlm", "microsoft/wavlm-lrge", download=never)
    with pytest.raises(ModelError, match="is named hf:someone/wavlm-large"):
        load_pretrained("wavlm", "someone/wavlm-large", download=never)


def test_a_folder_has_a_name_that_holds_in_every_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gender").mkdir()
    names = ("gender", "small", "hf:a/b", str(tmp_path))
    assert [from_everywhere(name) for name in names] == [str(tmp_path / "gender"), "small", "hf:a/b", str(tmp_path)]


def test_a_worker_that_is_replaced_after_a_change_of_folder_loads_the_same_model(tmp_path, tiny_model, monkeypatch):
    shutil.copytree(tiny_model, tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    clip = [np.zeros(8000, dtype=np.float32)]
    with WorkerEngine("model", workers=1) as engine:
        expected = engine.run(clip).probabilities
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        (worker,) = engine._workers
        worker.process.kill()
        with pytest.raises(ModelError, match="ended with code -9"):
            engine.run(clip)
        np.testing.assert_array_equal(engine.run(clip).probabilities, expected)


def in_cache(home: Path, repository: str, content: Path) -> None:
    """Lay a model into the cache of huggingface_hub as if it had been downloaded."""
    own = home / "hub" / f"models--{repository.replace('/', '--')}"
    shutil.copytree(content, own / "snapshots" / COMMIT)
    (own / "snapshots" / COMMIT / "README.md").write_text(CARD)
    (own / "refs").mkdir()
    (own / "refs" / "main").write_text(COMMIT)


def test_a_typo_gets_no_answer_from_a_model_of_that_name_on_the_hub(tmp_path, tiny_model):
    in_cache(tmp_path / "home", "runs/cals", tiny_model)
    shutil.copytree(tiny_model, tmp_path / "runs" / "calls")
    write_recording(tmp_path / "x.wav")
    environment = os.environ | {
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(Path(emotune.__file__).parents[1]),
    }

    def predicted(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "emotune", "predict", name, "x.wav", "--device", "cpu"]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)

    ended = predicted("runs/cals")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "error: There is no folder runs/cals, did you mean runs/calls?"
        " A model of the Hugging Face Hub is named hf:runs/cals.\n"
        f"more: {page_here(ModelError.page)}\n"
    )
    ended = predicted("hf:runs/cals")
    assert ended.returncode == 0
    assert ended.stdout.startswith("x.wav: ")
    assert "model runs/cals, commit 0123456789ab, licence cc-by-nc-4.0" in ended.stderr
