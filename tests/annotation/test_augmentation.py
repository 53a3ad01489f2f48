"""Parts of people and of a rater: the same texts whatever the labels, and nothing but people's labels is scored."""

import dataclasses

import pytest

from builders.manifests import manifest_of, utterance
from emotune.annotation.augmentation import augmented
from emotune.errors import ConfigError, CorpusError
from emotune.evaluation.raters import SOURCE

CLASSES = ("anger", "fear")


def annotated():
    rows = []
    for number in range(80):
        label, said = CLASSES[number % 2], CLASSES[(number // 2) % 2]
        columns = {f"llm:m.{name}": int(name == said and number % 16 != 3) for name in CLASSES}
        rows.append(
            utterance(
                f"u{number}",
                label,
                speaker=f"s{number % 4}",
                split="train" if number < 64 else "test",
                text=f"Sentence {number % 32}.",
                votes={"anger": 1.0},
                extra=columns | {"llm:m.unparsed": int(number % 16 == 3)},
            )
        )
    return manifest_of(*rows, classes=CLASSES)


def training(made, source):
    return {u.utterance_id: u for u in made if u.split == "train" and u.extra[SOURCE] == source}


@pytest.mark.parametrize("labels", ["rater", "random", "human"])
def test_parts_are_the_same_whatever_the_labels(labels):
    whole = annotated()
    options = {"human_share": 0.25, "labels": labels}
    alone, half, full = (augmented(whole, "llm:m", extra_share=share, **options) for share in (0, 0.5, 1))
    assert len(training(alone, "human")) == 16 and len([u for u in alone if u.split == "train"]) == 16
    others = {u.utterance_id for u in full if u.split == "train"} - set(training(alone, "human"))
    some = {u.utterance_id for u in half if u.split == "train"} - set(training(alone, "human"))
    unanswered = {u.utterance_id for u in whole if u.split == "train" and u.extra["llm:m.unparsed"]}
    assert some < others and others.isdisjoint(unanswered) and len(others | unanswered) >= 48
    texts = {u.text for u in alone if u.split == "train"}
    assert texts.isdisjoint(u.text for u in full if u.utterance_id in others)
    before = {u.utterance_id: u for u in whole}
    assert [u for u in full if u.split == "test"] == [u for u in whole if u.split == "test"]
    given = {name: u.emotion for name, u in training(full, labels).items() if name in others}
    if labels == "rater":
        assert all(before[name].extra[f"llm:m.{emotion}"] == 1 for name, emotion in given.items())
    if labels == "human":
        assert all(before[name].emotion == emotion for name, emotion in given.items())
    if labels == "random":
        assert 0.2 < sum(before[name].emotion == emotion for name, emotion in given.items()) / len(given) < 0.8
    assert not any(u.votes for u in full if u.split == "train")


def test_what_cannot_be_augmented_is_refused():
    with pytest.raises(CorpusError, match="no answer of the rater llm:other"):
        augmented(annotated(), "llm:other", human_share=0.5, extra_share=1)
    for options in ({"human_share": 0, "extra_share": 1}, {"human_share": 0.5, "extra_share": 2}):
        with pytest.raises(ConfigError, match="shares are"):
            augmented(annotated(), "llm:m", **options)


def test_labels_that_a_rater_wrote_are_not_taken_for_those_of_people():
    whole = annotated()
    first = dataclasses.replace(whole.utterances[0], extra={**whole.utterances[0].extra, SOURCE: "llm:m"})
    with pytest.raises(CorpusError, match="1 labels are not people's, such as that of u0"):
        augmented(whole.replace_utterances([first, *whole.utterances[1:]]), "llm:m", human_share=0.5, extra_share=1)
