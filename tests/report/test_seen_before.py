"""A report says when the model had heard what it is scored on."""

import dataclasses
from hashlib import sha256

from builders import manifests
from builders.manifests import utterance
from emotune.evaluation.earlier_training import EarlierTraining
from emotune.evaluation.speaker_dependence import speaker_dependence, speaker_dependence_of_parts
from emotune.report.seen_before import SeenBefore, overlap_sentences, seen_by
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.run_folder import LoneModel, RunFolder

SPACE = LabelSpace(("anger", "neutral"))


def manifest_of(*rows: tuple[str, str, str]) -> Manifest:
    return manifests.manifest_of(
        *(
            utterance(
                content, corpus="c", speaker=speaker, content_sha256=sha256(content.encode()).hexdigest(), split=split
            )
            for content, speaker, split in rows
        ),
        classes=SPACE.classes,
        dimensions=SPACE.dimensions,
    )


RUN = manifest_of(("a", "s1", "train"), ("b", "s2", "development"), ("c", "s3", "test"))


def test_an_unseen_test_split_brings_no_word():
    assert overlap_sentences(RUN, RUN.split("test")) == []


def test_training_utterances_speakers_and_the_split_that_chose_are_named():
    (sentence,) = overlap_sentences(RUN, RUN.split("train"))
    assert "was trained on 1 of these 1 utterances" in sentence
    (sentence,) = overlap_sentences(RUN, RUN.split("development"))
    assert "chose layer, epoch or settings by 1 of these" in sentence
    (sentence,) = overlap_sentences(RUN, manifest_of(("new", "s2", "test")))
    assert "chose layer, epoch or settings by 1 of these speakers" in sentence


def test_another_corpus_may_use_the_same_speaker_names():
    other = manifest_of(("new", "s1", "test"))
    other = other.replace_utterances([dataclasses.replace(u, corpus="other") for u in other])
    assert overlap_sentences(RUN, other) == []


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


def test_what_a_run_has_heard_is_read_from_its_folder(tmp_path):
    run = RunFolder(tmp_path)
    RUN.write(run.manifest)
    run.provenance.write_text('{"recipe": "r"}')
    assert seen_by(run, RUN.split("test")) == SeenBefore(False, ())
    same = seen_by(run, RUN.split("train"))
    assert same.speaker_dependent is True
    assert [sentence.split(":")[0] for sentence in same.sentences] == [
        "Speaker-dependent",
        "The model was trained on 1 of these 1 utterances",
    ]


def test_of_a_model_without_its_run_nobody_knows_what_it_has_heard(tmp_path):
    seen = seen_by(LoneModel(tmp_path, "mini"), RUN.split("test"))
    assert seen.speaker_dependent == "unknown"
    assert "training data are not known" in " ".join(seen.sentences)


def test_speakers_of_a_model_before_it_count_as_heard():
    test, nobody = RUN.split("test"), speaker_dependence(RUN.split("train"), RUN.split("test"))
    earlier = EarlierTraining("a start", frozenset({("c", "s3")}), complete=True)
    seen = SeenBefore.of(test, nobody, [earlier])
    assert seen.speaker_dependent is True and "a start" in seen.sentences[0]
    assert SeenBefore.of(test, nobody, []) == SeenBefore(False, ())


def test_a_speaker_of_two_parts_of_a_cross_validation_makes_it_speaker_dependent():
    apart = [(RUN.split("train"), RUN.split("test")), (RUN.split("test"), RUN.split("train"))]
    assert speaker_dependence_of_parts(apart).stamp is False
    both = speaker_dependence_of_parts([*apart, (RUN.split("test"), manifest_of(("d", "s3", "test")))])
    assert (both.stamp, both.shared, both.scored) == (True, 1, 2)
