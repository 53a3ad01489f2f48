"""A report says when the model knew what it is scored on."""

import dataclasses

import numpy as np
import pytest
import soundfile

from builders import manifests
from builders.manifests import utterance, utterances
from emotune.errors import AudioError, ConfigError
from emotune.evaluation.speaker_dependence import speaker_dependence
from emotune.io.tables import to_json, write_text
from emotune.report.seen_before import clips_seen
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


def test_an_unseen_test_split_brings_no_word():
    assert clips_seen(RUN, RUN.split("test")) == []


def test_training_utterances_speakers_and_the_split_that_chose_are_named():
    (sentence,) = clips_seen(RUN, RUN.split("train"))
    assert "was trained on 1 of these 1 utterances" in sentence
    (sentence,) = clips_seen(RUN, RUN.split("development"))
    assert "chose layer, epoch or settings by 1 of these" in sentence
    (sentence,) = clips_seen(RUN, manifest_of(("new", "s2", "test")))
    assert "chose layer, epoch or settings by 1 of these speakers" in sentence


def test_another_corpus_may_use_the_same_speaker_names():
    other = manifest_of(("new", "s1", "test"))
    other = other.replace_utterances([dataclasses.replace(u, corpus="other") for u in other])
    assert clips_seen(RUN, other) == []


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


def test_speakers_that_training_heard_make_a_split_speaker_dependent():
    train = RUN.split("train")
    half = speaker_dependence(train, manifest_of(("x", "s1", "test"), ("y", "s1", "test"), ("z", "s4", "test")))
    assert half.stamp is True
    assert half.notices == [
        "Speaker-dependent: 1 of 2 speakers of this split were trained on; figures say nothing about new speakers."
    ]
    none = speaker_dependence(train, RUN.split("test"))
    assert (none.stamp, none.notices) == (False, [])


def test_a_speaker_without_a_name_may_be_one_that_training_heard():
    nameless = manifest_of(("x", "s9", "test"), ("y", "s8", "test"))
    nameless = nameless.replace_utterances([dataclasses.replace(u, speaker=None) for u in nameless])
    assert speaker_dependence(RUN.split("train"), nameless).stamp == "unknown"
    assert speaker_dependence(nameless, RUN.split("test")).stamp == "unknown"


@pytest.mark.parametrize(("speakers", "said"), [(1, "by 1 speaker"), (2, "by 2 speakers"), (4, None), (0, None)])
def test_a_choice_that_rests_on_two_speakers_is_called_so(speakers, said):
    rows = utterances(8, speaker=(lambda n: f"s{n % speakers}") if speakers else None)
    found = few_choosers(manifests.manifest_of(*rows), chose="Layer and regularisation")
    assert len(found) == (said is not None)
    assert all(f"Layer and regularisation: chosen {said} of development" in note for note in found)
