"""Models to a hub on this machine: what is sent, what never is, and how a hub's refusal reads."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from builders.command import run_command
from builders.hub import fake_hub
from builders.manifests import manifest_of, utterances
from builders.runs import finished_run
from emotune.errors import ConfigError, ModelError
from emotune.export.hub_card import StatedMetadata
from emotune.export.push import FILES, push
from emotune.io.hub import licence_of
from emotune.models.folder import digest_of

hub_library = pytest.importorskip("huggingface_hub")

STATED = StatedMetadata("cc-by-4.0", tags=["german"])
FIGURES = {"uar": {"value": 0.71, "low": 0.6, "high": 0.8}, "accuracy": {"value": 0.7, "low": None, "high": None}}


@pytest.fixture
def run(tmp_path: Path, tiny_model: Path) -> Path:
    """A finished run with a model, sound and tables beside it, and figures of both splits."""
    folder = tmp_path / "run"
    manifest = manifest_of(*utterances(2, emotion="anger"), classes=["anger"], information={"corpus": "emodb"})
    finished_run(folder, manifest, kind="fine-tuned")
    shutil.copytree(tiny_model, folder / "model")
    card = "---\nlibrary_name: emotune\n---\n# tiny\n\n## Data\n- encoder: /home/anna/encoders/big\n\n"
    card += '## Figures\n- uar on development: 0.999\n\n## Use\nemotune.load("this/folder")\n'
    (folder / "model" / "README.md").write_text(card)
    (folder / "model" / "clip.wav").write_bytes(b"RIFF")
    (folder / "model" / "people.csv").write_text("speaker\nanna\n")
    recipe = {"model": {"backbone": {"name": "wavlm", "checkpoint": "hf:microsoft/wavlm-base"}}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    evaluated(folder)
    return folder


def evaluated(folder: Path) -> None:
    weights = ("config.json", "preprocessor_config.json", "model.safetensors")
    report = {
        "overall": FIGURES,
        "interval": {"level": 0.95},
        "scored": 80,
        "speakers": 4,
        "information": {"model fingerprint": digest_of([folder / "model" / name for name in weights])},
    }
    (folder / "test").mkdir(exist_ok=True)
    (folder / "test" / "report.json").write_text(json.dumps(report))


def test_its_own_files_and_a_complete_card_are_sent_and_nothing_else(run: Path) -> None:
    with fake_hub() as hub:
        done = push(run, "hf:someone/mine", STATED, private=True, endpoint=hub.address, token="hf_test")
    assert done.address == f"{hub.address}/someone/mine"
    assert hub.made[0]["name"] == "mine"
    assert hub.made[0].get("private") is True or hub.made[0].get("visibility") == "private"
    assert set(hub.files) == {"config.json", "preprocessor_config.json", "model.safetensors", "README.md"}
    for name in set(hub.files) & set(FILES):
        assert hub.files[name] == (run / "model" / name).read_bytes()
    assert {name: len(content) for name, content in hub.files.items()} == done.files


def test_the_hubs_own_library_reads_the_cards_metadata(run: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(push(run, "someone/mine", STATED, dry_run=True).card)
    data = hub_library.ModelCard.load(tmp_path / "README.md").data
    assert (data.license, data.base_model, data.datasets) == ("cc-by-4.0", "microsoft/wavlm-base", ["emodb"])
    assert data.tags == ["emotune", "speech-emotion-recognition", "wavlm", "german"]
    assert data.metrics == ["uar", "accuracy"]
    uar, accuracy = data.eval_results
    assert (uar.metric_value, uar.dataset_split) == (0.71, "test")
    assert uar.metric_name == "uar, 95% over speakers [0.600, 0.800]"
    assert (accuracy.metric_name, accuracy.metric_value) == ("accuracy", 0.7)
    assert licence_of(tmp_path / "README.md") == "cc-by-4.0"


def test_the_card_has_the_figures_of_the_test_split_and_nobodys_folders(run: Path) -> None:
    card = push(run, "someone/mine", STATED, dry_run=True).card
    assert "- uar, 95% over speakers [0.600, 0.800]: 0.710 (80 utterances, 4 speakers of the test split)" in card
    assert "0.999" not in card
    assert "- encoder: big" in card
    assert "anna" not in card
    assert 'emotune.load("hf:someone/mine")' in card


def test_a_dry_run_asks_no_hub_and_says_what_is_missing(run: Path, monkeypatch) -> None:
    monkeypatch.setattr(hub_library, "HfApi", lambda **_: pytest.fail("asked the hub"))
    shutil.rmtree(run / "test")
    ended = run_command("push", run, "someone/mine", "--dry-run", "--licence", "mit")
    assert ended.code == 0
    assert "model.safetensors" in ended.out
    assert "base_model: microsoft/wavlm-base" in ended.out
    assert "no figures: the test split has none yet" in ended.out
    assert "nothing was sent" in ended.out
    manifest_of(*utterances(2, emotion="anger"), classes=["anger"]).write(run / "manifest.csv")
    (run / "recipe.yaml").write_text(yaml.safe_dump({"model": {"backbone": {"checkpoint": "/encoders/big"}}}))
    lacks = r"licence \(--licence.*base_model \(--base-model.*datasets \(--dataset.*sent: config\.json 0\."
    with pytest.raises(ConfigError, match=lacks):
        push(run, "someone/mine", dry_run=True)


@pytest.mark.parametrize(
    ("status", "said"), [(401, "nobody is logged in"), (403, "may not write"), (418, "status 418")]
)
def test_a_hub_that_refuses_is_an_error_of_ours(run: Path, status: int, said: str) -> None:
    with fake_hub(status) as hub, pytest.raises(ModelError, match=f"did not take someone/mine: .*{said}"):
        push(run, "someone/mine", STATED, endpoint=hub.address, token="hf_test")


def test_a_hub_that_is_not_there_is_an_error_of_ours(run: Path) -> None:
    with fake_hub() as hub:
        address = hub.address
    with pytest.raises(ModelError, match="did not take someone/mine: ConnectError"):
        push(run, "someone/mine", STATED, endpoint=address, token="hf_test")


@pytest.mark.load
def test_the_command_sends_to_the_hub_that_the_environment_names(run: Path) -> None:
    with fake_hub() as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_test"}
        command = [sys.executable, "-m", "emotune", "push", str(run), "someone/mine", "--licence", "mit"]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"{hub.address}/someone/mine: uploaded" in ended.stdout
    assert "README.md" in hub.files


def test_what_must_not_leave_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'mine' is no name"):
        push(run, "mine", STATED, dry_run=True)
    with pytest.raises(ModelError, match="no run folder with a finished model"):
        push(tmp_path, "someone/mine", STATED, dry_run=True)
    config = run / "model" / "config.json"
    content = json.loads(config.read_text())
    for name in ("/home/anna/encoder", "/home/anna maria/my encoder", "~anna/encoder", "../encoder", "C:\\My Encoder"):
        config.write_text(json.dumps({**content, "conditions": {"text": {"encoder": {"name": name}}}}))
        with pytest.raises(ModelError, match=r"conditions\.text\.encoder\.name names a folder of this machine"):
            push(run, "someone/mine", STATED, dry_run=True)
    with pytest.raises(ModelError, match=r"conditions\.text\.encoder\.name names a folder of this machine"):
        push(run, "someone/mine", STATED, dry_run=True)
    config.write_text(json.dumps({**content, "training_prior": None}))
    with pytest.raises(ModelError, match="figures of another model"):
        push(run, "someone/mine", STATED, dry_run=True)
