"""Golden prompts, and answers that are read strictly or not at all."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.recordings import tone
from emotune.annotation.facts import Facts, Sound, sound_of
from emotune.annotation.parsing import parsed
from emotune.annotation.prompts import LEVELS, WORDINGS, messages_of
from emotune.errors import ConfigError

CLASSES = ("anger", "happiness", "neutral")
FACTS = Facts("u1", 'He said\n"stop".', "female", Sound(-23.4, 201.6, 2.25), list(range(70)))


def test_a_prompt_of_each_level_is_word_for_word_this():
    text, acoustics, codes = (messages_of(FACTS, CLASSES, level=level) for level in LEVELS)
    system = (
        "You label the emotion of one spoken utterance. Choose exactly one of: anger, happiness, neutral."
        " Answer with that word alone."
    )
    assert text == [
        {"role": "system", "content": system},
        {"role": "user", "content": "Transcript: \"He said 'stop'.\"\nEmotion:"},
    ]
    assert acoustics[1]["content"] == (
        "Transcript: \"He said 'stop'.\"\nSpeaker: female\nAverage energy: -23 dB\n"
        "Average pitch: 202 Hz, varying by 2.2 semitones\nEmotion:"
    )
    listed = " ".join(map(str, range(60)))
    assert codes[1]["content"] == acoustics[1]["content"].replace(
        "Emotion:", f"Speech codes: {listed} and 10 more\nEmotion:"
    )


def test_examples_stand_before_the_question_as_earlier_answers():
    shown = [(Facts("a", "Go away."), "anger"), (Facts("b", "Lovely."), "happiness")]
    messages = messages_of(Facts("c", "Nine."), CLASSES, examples=shown, wording=2)
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert [messages[place]["content"] for place in (2, 4)] == ["anger", "happiness"]
    assert messages[0]["content"].startswith("Annotate the following utterance")
    assert messages[-1]["content"] == 'Transcript: "Nine."\nEmotion:'


def test_what_is_not_known_is_said_to_be():
    unknown = messages_of(Facts("a", None, None, Sound(math.nan, math.nan, math.nan)), CLASSES, level="acoustics")
    assert unknown[1]["content"] == (
        "Transcript: not known\nSpeaker: not known\nAverage energy: silent\nAverage pitch: no voice found\nEmotion:"
    )
    for options in ({"level": "vibes"}, {"wording": WORDINGS}):
        with pytest.raises(ConfigError, match="expected"):
            messages_of(FACTS, CLASSES, **options)


def test_the_sound_of_a_tone_is_its_level_and_pitch():
    sound = sound_of(tone(200, peak=0.5, harmonics=3))
    assert sound.pitch_hz == pytest.approx(200, rel=0.01)
    assert sound.pitch_deviation_semitones == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("anger", "anger"),
        (" Anger.\n", "anger"),
        ("**Happiness**", "happiness"),
        ("Emotion: neutral", "neutral"),
        ('{"emotion": "Anger"}', "anger"),
        ('{"label": "anger", "why": "loud"}', "anger"),
        ("", None),
        ("The speaker is angry.", None),
        ("not anger", None),
        ("anger, happiness", None),
        ("joy", None),
        ('{"emotion": ["anger"]}', None),
        ('{"emotion": "anger", "label": "neutral"}', None),
        ('{"emotion": "anger"', None),
        ("{" * 300, None),
        ('```json\n{"emotion": "anger"}\n```', "anger"),
        ("```\nanger\n```", "anger"),
        ("```json\nnot anger\n```", None),
        ("anger" + " " * 10 + "x" * 500, None),
    ],
)
def test_an_answer_is_one_class_alone_or_nothing(answer, label):
    assert parsed(answer, CLASSES) == label


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.builds(lambda a, b, c: a + b + c, st.text(max_size=4), st.sampled_from(CLASSES), st.text(max_size=4)),
        st.builds('{{"emotion": "{}"}}'.format, st.text(max_size=12)),
        st.recursive(
            st.none() | st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
        ).map(repr),
    )
)
def test_no_answer_is_a_crash_or_an_unknown_label(answer):
    label = parsed(answer, CLASSES)
    assert label is None or (label in CLASSES and label in answer.lower())
