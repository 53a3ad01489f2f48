"""A probe that leaves groups out says whether their speakers were held out with them."""

import dataclasses
import json
from pathlib import Path

import pytest

from builders.recipes import sections_over
from emotune.config.recipe import Recipe
from emotune.schema.manifest import Manifest
from emotune.training.probe import probe_run


@pytest.mark.parametrize("shared", [False, True])
def test_a_speaker_of_two_sessions_makes_leaving_sessions_out_speaker_dependent(
    tones: Manifest, tmp_path: Path, shared
):
    speakers = sorted({str(utterance.speaker) for utterance in tones})
    session = {name: str(number // 2) for number, name in enumerate(speakers)}
    rows = [dataclasses.replace(utterance, session=session[str(utterance.speaker)]) for utterance in tones]
    if shared:
        rows[0] = dataclasses.replace(rows[0], session=next(name for name in "012" if name != rows[0].session))
    dataclasses.replace(tones, utterances=tuple(rows), root=tones.root).write(tmp_path / "manifest.csv")
    sections = sections_over(tmp_path / "manifest.csv", probe={"leave_out": "session"})
    probe_run(Recipe.model_validate(sections), tmp_path / "run")
    report = json.loads((tmp_path / "run" / "all" / "report.json").read_text(encoding="utf-8"))
    assert report["information"]["speaker_dependent"] is shared
    assert any("Speaker-dependent: 1 of 6 speakers" in notice for notice in report["notices"]) == shared
