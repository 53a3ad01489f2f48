"""Verdicts on made-up models whose way of answering is known."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from builders.manifests import manifest_of, utterance
from builders.recordings import write_recording
from emotune.enrichment.lexicon import emotion_of_text
from emotune.evaluation.words.against_voice import AGREE, CONFLICT, NEUTRAL, words_against_voice
from emotune.evaluation.words.controls import EXCHANGED, FLATTENED, WITHOUT_WORDS, Controlled, donors_of, run_controls
from emotune.evaluation.words.reader import FittedReader, LexiconReader
from emotune.evaluation.words.verdict import OPEN, VOICE, WORDS
from emotune.schema.labels import LabelSpace
from emotune.schema.predictions import Prediction, Predictions

CLASSES = ("anger", "happiness", "sadness")
SAID = {
    "anger": "I am furious with you.",
    "happiness": "What a wonderful, happy day.",
    "sadness": "She cried at the funeral.",
    None: "The bus leaves at nine.",
}


def corpus(words_of):
    """90 utterances of six speakers; ``words_of`` maps number and label to the class that the words say."""
    rows = []
    for number in range(90):
        label = CLASSES[number % 3]
        text = SAID[words_of(number, label)]
        rows.append(utterance(f"u{number}", label, speaker=f"s{number // 15}", text=text))
    return manifest_of(*rows, classes=CLASSES)


def answering(manifest, answer):
    """Predictions of a model that gives ``answer(number, utterance)``."""
    rows = []
    for number, u in enumerate(manifest):
        given = answer(number, u)
        shares = {name: 0.8 if name == given else 0.1 for name in CLASSES}
        rows.append(Prediction(u.utterance_id, shares))
    return Predictions(tuple(rows), LabelSpace(CLASSES))


def noisy(right, number):
    """Right in three of four answers."""
    return right if number % 4 else CLASSES[(CLASSES.index(right) + 1) % 3]


ANY_OTHER = corpus(lambda number, label: CLASSES[(CLASSES.index(label) + 1 + number % 2) % 3])
NOTHING = corpus(lambda number, label: None)
SAME = corpus(lambda number, label: label)


def by_voice(number, u):
    return noisy(u.emotion, number)


def by_words(number, u):
    return noisy(emotion_of_text(u.text, CLASSES) or CLASSES[0], number)


def by_nothing(number, u):
    return CLASSES[np.random.default_rng(number).integers(3)]


@pytest.mark.parametrize(
    ("manifest", "answer", "verdict"),
    [
        (ANY_OTHER, by_voice, VOICE),
        (ANY_OTHER, by_words, WORDS),
        (ANY_OTHER, by_nothing, OPEN),
        (ANY_OTHER, lambda number, u: "sadness", OPEN),
        (NOTHING, by_voice, VOICE),
        (NOTHING, by_words, OPEN),
        (SAME, by_voice, OPEN),
        (SAME, by_words, OPEN),
    ],
)
def test_a_model_gets_the_verdict_of_what_it_goes_by(manifest, answer, verdict):
    found = words_against_voice(manifest, answering(manifest, answer), LexiconReader(), resamples=300)
    assert found.verdict.name == verdict, found.verdict.reason


def test_the_interval_of_speakers_who_are_all_understood_has_a_width():
    found = words_against_voice(SAME, answering(SAME, lambda number, u: u.emotion), LexiconReader(), resamples=300)
    (agree,) = found.groups
    exact = 0.025 ** (1 / 6)  # Clopper and Pearson (1934), six of six speakers
    assert (agree.uar.low, agree.uar.high, agree.accuracy.low) == pytest.approx((exact, 1.0, exact))


def test_sentences_that_are_each_said_once_could_be_known_by_heart():
    own = [dataclasses.replace(u, text=f"The bus number {n} leaves.") for n, u in enumerate(NOTHING)]
    unique = NOTHING.replace_utterances(own)
    found = words_against_voice(unique, answering(unique, by_voice), LexiconReader(), resamples=300)
    assert found.verdict.name == OPEN and found.evidence.neutral_by_words == pytest.approx(1)
    twice = [dataclasses.replace(u, text=("A", "B")[n % 6 == 0]) for n, u in enumerate(NOTHING)]
    mixed = NOTHING.replace_utterances(twice)  # B is said in anger alone: 15 of its 30 clips
    found = words_against_voice(mixed, answering(mixed, by_voice), LexiconReader(), resamples=300)
    assert found.evidence.neutral_by_words == pytest.approx((0.5 + 1) / 3)


def test_groups_hold_the_clips_that_they_name():
    kinds = [None, "same", "other"]
    mixed = corpus(
        lambda number, label: {None: None, "same": label, "other": CLASSES[(CLASSES.index(label) + 1) % 3]}[
            kinds[number // 3 % 3]
        ]
    )
    rows = list(mixed)
    rows[0] = dataclasses.replace(rows[0], text=None)
    found = words_against_voice(
        mixed.replace_utterances(rows), answering(mixed, by_voice), LexiconReader(), resamples=0
    )
    assert {group.name: group.utterances for group in found.groups} == {AGREE: 30, CONFLICT: 30, NEUTRAL: 29}
    assert found.without_transcript == 1
    kept = [n for n in range(90) if kinds[n // 3 % 3] == "other"]
    (conflict,) = (group for group in found.groups if group.name == CONFLICT)
    assert conflict.accuracy.value == pytest.approx(np.mean([n % 4 != 0 for n in kept]))


def controls(flattened, filtered, exchanged=None, words=None):
    predictions = {FLATTENED: answering(SAME, flattened), WITHOUT_WORDS: answering(SAME, filtered)}
    if exchanged is not None:
        predictions[EXCHANGED] = answering(SAME, exchanged)
    return Controlled(predictions, words or {})


def test_exchanged_transcripts_tell_words_from_voice_where_both_agree():
    given = {u.utterance_id: CLASSES[(CLASSES.index(u.emotion) + 1) % 3] for u in SAME}
    follows = controls(by_words, by_nothing, lambda n, u: noisy(given[u.utterance_id], n), given)
    found = words_against_voice(SAME, answering(SAME, by_words), LexiconReader(), controlled=follows, resamples=300)
    assert found.verdict.name == WORDS and found.evidence.conflicts == {"natural": 0, "exchanged": 90}
    ignores = controls(by_voice, by_voice, by_voice, given)
    found = words_against_voice(SAME, answering(SAME, by_voice), LexiconReader(), controlled=ignores, resamples=300)
    assert found.verdict.name == VOICE
    (effect,) = (item for item in found.controls if item.name == EXCHANGED)
    assert effect.difference.value == 0 and effect.changed == 0


@pytest.mark.parametrize(
    ("flattened", "filtered", "verdict"),
    [(by_words, by_nothing, WORDS), (by_nothing, by_voice, VOICE), (by_nothing, by_nothing, OPEN)],
)
def test_a_model_without_transcripts_is_told_by_what_each_control_leaves(flattened, filtered, verdict):
    done = controls(flattened, filtered)
    found = words_against_voice(SAME, answering(SAME, by_words), LexiconReader(), controlled=done, resamples=300)
    assert found.verdict.name == verdict


def test_no_transcript_and_no_class_is_no_section():
    bare = SAME.replace_utterances([dataclasses.replace(u, text=None) for u in SAME])
    assert words_against_voice(bare, answering(bare, by_voice), LexiconReader()) is None


def test_donors_say_an_emotion_that_is_neither_the_clips_own_nor_its_words():
    said = LexiconReader().read(SAME.utterances, CLASSES)
    donors = donors_of(SAME.utterances, said)
    assert len(donors) == 90
    for u, own in zip(SAME, said, strict=True):
        donor, emotion = donors[u.utterance_id]
        assert emotion not in (u.emotion, own) and emotion_of_text(donor.text, CLASSES) == emotion
    assert donors == donors_of(SAME.utterances, said) and donors_of(NOTHING.utterances, [None] * 90) == {}


def test_a_list_of_english_words_reads_no_other_language():
    rows = [utterance("a", text="I am furious.", language=tag) for tag in ("en-GB", None, "de")]
    assert LexiconReader().read(rows, CLASSES) == ["anger", "anger", None]
    assert emotion_of_text("He is not angry, never sad.", CLASSES) is None
    assert emotion_of_text("Happy or sad?", CLASSES) is None


def test_a_fitted_reader_says_nothing_where_it_is_unsure_or_there_are_no_words():
    pytest.importorskip("sklearn")

    def encode(texts):
        return np.array([[10.0 * (name in text) for name in ("furious", "happy", "cried")] for text in texts])

    reader = FittedReader(encode, SAME, name="letters")
    rows = [utterance("a", text="How furious I was."), utterance("b", text=SAID[None]), utterance("c")]
    assert reader.read(rows, CLASSES) == ["anger", None, None]


def test_a_sentence_of_the_training_split_is_read_and_not_remembered():
    """Each sentence has an embedding of its own, which says nothing of the others."""
    pytest.importorskip("sklearn")
    sentences = [f"sentence {number}" for number in range(30)]

    def encode(texts):
        return 10.0 * np.eye(30)[[sentences.index(text.lower().rstrip(".!")) for text in texts]]

    rows = [utterance(f"u{number}", CLASSES[number % 3], text=f"{text}.") for number, text in enumerate(sentences)]
    reader = FittedReader(encode, manifest_of(*rows, classes=CLASSES), name="sentences")
    said_again = [utterance("a", text="Sentence 4!"), *rows]
    assert reader.read(said_again, CLASSES) == [None] * 31
    assert "fitted to 30 transcripts of the training split; a sentence that is said there, too, is" in reader.words


class TextModel:
    """Predictor that is given transcripts, and keeps which."""

    engine, fingerprint = SimpleNamespace(conditions={"text": {}}), "model"

    def __init__(self):
        self.given = []

    def predict_items(self, items, *, progress):
        self.given.append([item.known for item in items])
        rows = [Prediction(item.utterance_id, dict.fromkeys(CLASSES, 1 / 3), extra=item.extra) for item in items]
        return Predictions(tuple(rows), LabelSpace(CLASSES), "model")


def test_another_reader_exchanges_other_transcripts_and_so_is_predicted_anew(tmp_path):
    rows = []
    for number, u in enumerate(SAME.utterances[:8]):
        write_recording(tmp_path / f"{number}.wav", seconds=0.3)
        rows.append(dataclasses.replace(u, file=f"{number}.wav", text=f"Sentence {number}."))
    manifest = manifest_of(*rows, classes=CLASSES, root=tmp_path)
    model, kinds = TextModel(), CLASSES[:3]
    first = [kinds[number % 3] for number in range(8)]
    for said in (first, first, [None] * 7 + [kinds[0]]):
        run_controls(model, manifest, said, tmp_path / "words")
    assert len(model.given) == 3 + 1  # all three, nothing, exchanged transcripts alone
    assert model.given[2] != model.given[3]
