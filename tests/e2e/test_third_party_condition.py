"""A condition that another package adds by an entry point: from the recipe to the card, and nothing else edited."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from emotune.io.tables import read_rows
from emotune.schema.manifest import Manifest

PACKAGES = Path(__file__).parents[1] / "third_party"
RUN_EACH = """
import json, sys
from emotune.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["emotune", *arguments]
    try:
        main()
    except SystemExit as end:
        if end.code:
            print(f"{arguments[0]} ended with {end.code}", file=sys.stderr)
"""


def commands_with_package(folder: Path, *commands: list[str]) -> str:
    """What the commands say, one after the other in a process that has the package."""
    paths = os.pathsep.join([str(PACKAGES), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", RUN_EACH, json.dumps(commands)]
    environment = {**os.environ, "PYTHONPATH": paths}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


@pytest.fixture
def recipe(tones, tiny_wavlm, tmp_path) -> Path:
    """A recipe of a model that is told the language, which the manifest knows of every other utterance."""
    rows = [dataclasses.replace(u, language="de" if n % 2 else None) for n, u in enumerate(tones)]
    tones.replace_utterances(rows).write(tmp_path / "m.csv")
    recipe = {
        "name": "languages",
        "data": {"manifest": str(tmp_path / "m.csv")},
        "model": {
            "backbone": {"name": "wavlm", "config": tiny_wavlm},
            "conditions": {"gender": {}, "language": {"ear": "loudness", "size": 4}},
        },
        "train": {"epochs": 1},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path / "recipe.yaml"


@pytest.mark.load
def test_it_is_trained_predicted_withheld_and_told(recipe, tones, tmp_path):
    clips = zip(tones.utterances[:3], ("DE", "", "fr"), strict=True)
    rows = [f"{tones.path_of(utterance)},{word}\n" for utterance, word in clips]
    (tmp_path / "clips.csv").write_text("file,language\n" + "".join(rows))
    predict = ["predict", "run", "clips.csv", "-o"]
    said = commands_with_package(
        tmp_path,
        ["train", "recipe.yaml", "-o", "run"],
        [*predict, "p.csv"],
        [*predict, "unknown.csv", "--condition", "language=unknown"],
        [*predict, "wrong.csv", "--condition", "language=wrong"],
    )
    assert said.count("ended with") == 1, said
    assert "Condition 'language': only gender can be 'wrong'." in said
    filled = Manifest.read(tmp_path / "run" / "manifest.csv")
    assert [u.extra["language_predicted"] for u in filled] == ["en", None] * 12
    about = json.loads((tmp_path / "run" / "model" / "config.json").read_text())["conditions"]
    assert list(about) == ["gender", "language"]
    ear = {"name": "loudness", "revision": "1"}
    assert about["language"] == {"source": "given", "dropout": 0.2, "size": 4, "ear": ear}
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "- given beside the sound: language (given), with loudness (revision 1); works without it" in card
    assert "- Knows German and English alone." in card
    used = {name: [row["conditions_used"] for row in read_rows(tmp_path / f"{name}.csv")] for name in ("p", "unknown")}
    assert used["p"] == [f"gender=unknown language={origin}" for origin in ("given", "predicted", "predicted")]
    assert used["unknown"] == ["gender=unknown language=unknown"] * 3


def test_faults_of_its_options_have_the_words_of_ours(recipe, tmp_path, emotune_command):
    option = "model.conditions.language"
    dry = ["train", "recipe.yaml", "--dry-run", "-o", "run"]
    said = commands_with_package(
        tmp_path, [*dry, f"{option}.sizes=3", f"{option}.dropout=1"], [*dry, f"{option}.ear=x"]
    )
    assert f"{option}.sizes: Unknown key 'sizes', did you mean 'size'?" in said
    assert f"{option}.dropout: input should be less than 1, got 1" in said
    assert f"{option}.ear: There is no ear 'x', only loudness." in said
    alone = emotune_command("train", recipe, "--dry-run", "-o", tmp_path / "run")
    assert (alone.code, f"{option}: Unknown key 'language'. Known: gender, text." in alone.err) == (2, True)


def test_a_package_that_cannot_be_loaded_harms_nothing_but_its_own_condition(recipe, tmp_path):
    folder = tmp_path / "broken" / "emotune_gone-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: emotune-gone\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[emotune.condition]\nheight = emotune_gone:Height\n")
    paths = os.pathsep.join([str(folder.parent), os.environ.get("PYTHONPATH", "")])
    read = "import sys; from emotune.config.reading import load_recipe; load_recipe('demo/tiny_wavlm', sys.argv[1:])"

    def loaded(*overrides: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", read, "data.manifest=m.csv", *overrides]
        environment = {**os.environ, "PYTHONPATH": paths}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert loaded("model.conditions.gender={}").returncode == 0
    said = loaded("model.conditions.height={}").stderr
    assert "model.conditions.height: The condition 'height' comes from another package (emotune_gone:Height)" in said
