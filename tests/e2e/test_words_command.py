"""`emotune evaluate --words` from recordings to the page, the tables of the controls and the model's card."""

import dataclasses
import json
from pathlib import Path

import pytest

from builders.exported import save_exported
from emotune.evaluation.words.controls import FLATTENED, WITHOUT_WORDS
from emotune.models.card_text import with_section
from emotune.report.read_words import add_to_card
from emotune.report.words_section import TITLE
from emotune.schema.labels import LabelSpace
from emotune.schema.predictions import Predictions
from emotune.schema.run_folder import RunFolder

SPACE = LabelSpace(("anger", "neutral"))
TEXTS = {"anger": "I am furious.", "neutral": "The bus leaves at nine."}


@pytest.fixture
def spoken(tones, tmp_path) -> Path:
    """The tones with transcripts: the angry ones say so."""
    rows = [dataclasses.replace(u, text=TEXTS[u.emotion or ""]) for u in tones]
    tones.replace_utterances(rows).write(tmp_path / "spoken.csv")
    return tmp_path / "spoken.csv"


def test_the_section_is_in_page_and_json_and_controls_are_kept(spoken, tmp_path, emotune_command, opened):
    model, results = save_exported(tmp_path / "model", SPACE), tmp_path / "results"
    command = ("evaluate", model, "--manifest", spoken, "-o", results, "--words", "--resamples", "100")
    ended = emotune_command(*command)
    assert ended.code == 0 and "words or voice: " in ended.out, ended.err
    found = json.loads((results / "report.json").read_text())["words_against_voice"]
    assert found["verdict"] in ended.out and set(found["controls"]) == {FLATTENED, WITHOUT_WORDS}
    assert found["groups"]["agree"]["utterances"] == found["groups"]["neutral"]["utterances"] == 12
    page = (results / "report.html").read_text()
    assert '<section id="words"' in page and "pitch and loudness levelled, words kept" in page
    assert len(Predictions.read(results / "words" / f"{FLATTENED}.csv")) == 24
    before = len(opened)
    assert emotune_command(*command).code == 0
    assert len(opened) - before < before / 2  # what was predicted under the controls is taken as it is


def test_without_controls_the_page_says_so_and_without_transcripts_there_is_no_section(
    spoken, tones, tmp_path, emotune_command
):
    model = save_exported(tmp_path / "model", SPACE)
    emotune_command("evaluate", model, "--manifest", spoken, "-o", tmp_path / "a", "--resamples", "10")
    assert "No controls were run; `emotune evaluate --words` runs them." in (tmp_path / "a" / "report.html").read_text()
    silent = ("evaluate", model, "--manifest", tones.root / "manifest.csv", "-o", tmp_path / "b", "--resamples", "10")
    assert emotune_command(*silent).code == 0
    assert json.loads((tmp_path / "b" / "report.json").read_text())["words_against_voice"] is None
    ended = emotune_command(*silent, "--words")
    assert ended.code == 2 and "need transcripts and classes" in ended.err
    ended = emotune_command("evaluate", model, "--manifest", spoken, "-o", tmp_path / "c", "--text-encoder", "x")
    assert ended.code == 2 and "a model without its run" in ended.err


def test_the_card_gets_the_section_once(spoken, tmp_path):
    from emotune.evaluation.words.against_voice import words_against_voice
    from emotune.evaluation.words.reader import LexiconReader
    from emotune.inference import load
    from emotune.schema.manifest import Manifest

    manifest = Manifest.read(spoken)
    predictions = load(save_exported(tmp_path / "model", SPACE)).predict_manifest(manifest)
    found = words_against_voice(manifest, predictions, LexiconReader(), resamples=100)
    (tmp_path / "run" / "model").mkdir(parents=True)
    card = tmp_path / "run" / "model" / "README.md"
    card.write_text("# m\n\n## Figures\n- uar\n\n## Use\n```python\n```\n")
    for name in ("test", "te*st"):
        add_to_card(RunFolder(tmp_path / "run"), found, name)
    text = card.read_text()
    assert text.count(f"## {TITLE}") == 1 and r"Measured on te\*st: this model **" in text
    assert text.index("## Figures") < text.index(f"## {TITLE}") < text.index("## Use")
    assert with_section("# bare\n", "A", ["b"]).startswith("# bare\n## A\nb\n")
