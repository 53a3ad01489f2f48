"""A run that goes on is the one that began, and notes say what its figures rest on."""

import dataclasses

import numpy as np
import pytest
import soundfile

from builders import manifests
from builders.manifests import utterance, utterances
from emotune.errors import AudioError, ConfigError
from emotune.io.tables import to_json, write_text
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.run_folder import RunFolder
from emotune.schema.splits import classes_missing
from emotune.schema.utterance import Utterance
from emotune.training.run import few_choosers

SPACE = LabelSpace(("anger", "neutral"))


def manifest_of(*rows: tuple[str, str, str]) -> Manifest:
    return manifests.manifest_of(
        *(
            utterance(content, corpus="c", speaker=speaker, content_sha256=content, split=split)
            for content, speaker, split in rows
        ),
        classes=SPACE.classes,
        dimensions=SPACE.dimensions,
    )


RUN = manifest_of(("a", "s1", "train"), ("b", "s2", "development"), ("c", "s3", "test"))


def test_a_split_without_a_class_is_named():
    manifest = manifest_of(("a", "s1", "train"), ("b", "s2", "test"))
    manifest = manifest.replace_utterances(
        [dataclasses.replace(u, emotion=name) for u, name in zip(manifest, ("anger", "neutral"), strict=True)]
    )
    assert classes_missing(manifest) == [
        "split 'test' has no utterance of anger",
        "split 'train' has no utterance of neutral",
    ]


def test_a_recording_that_changed_since_the_manifest_was_made_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(1600), 16000)
    utterance = Utterance("a", "a.wav", content_sha256="something else")
    manifest = Manifest((utterance,), SPACE, tmp_path)
    with pytest.raises(AudioError, match="has changed since"):
        manifest.clip_of(utterance)


def test_an_interrupted_run_of_another_kind_or_on_other_data_is_not_continued(tmp_path):
    from emotune.config.reading import load_recipe
    from emotune.runtime.listener import Listener
    from emotune.training.run import opened, provenance_of, write_start

    recipe = load_recipe("demo/tiny_wavlm", ["data.manifest=m.csv"])
    run = RunFolder(tmp_path / "run")
    with opened(run, recipe, "probe") as first:
        provenance = provenance_of(recipe, RUN, first, kind="probe")
        write_start(run, recipe, RUN, provenance, Listener())
    with opened(run, recipe, "probe") as again:
        assert again.at == pytest.approx(first.at, abs=1)
    with (
        pytest.raises(ConfigError, match=r"unfinished run \(probe\), not fine-tuned"),
        opened(run, recipe, "fine-tuned"),
    ):
        pass
    with pytest.raises(ConfigError, match="on other data"):
        write_start(run, recipe, RUN.split("test"), provenance, Listener())
    write_text(run.provenance, to_json({**run.information(), "finished": "now"}))
    with pytest.raises(ConfigError, match="finished run"), opened(run, recipe, "probe"):
        pass


@pytest.mark.parametrize(("speakers", "said"), [(1, "by 1 speaker"), (2, "by 2 speakers"), (4, None), (0, None)])
def test_a_choice_that_rests_on_two_speakers_is_called_so(speakers, said):
    rows = utterances(8, speaker=(lambda n: f"s{n % speakers}") if speakers else None)
    found = few_choosers(manifests.manifest_of(*rows), chose="Layer and regularisation")
    assert len(found) == (said is not None)
    assert all(f"Layer and regularisation: chosen {said} of development" in note for note in found)
