"""Options that choose among words."""

import pytest


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["predict", "mini", "x.wav", "--vad", "sliero"], "'--vad': 'sliero' is not one of 'silero', 'energy',"),
        (["predict", "mini", "x.wav", "--adapt", "all"], "'all' is not one of 'none', 'auto', 'speaker',"),
        (["export", "mini", "-o", "x", "--precision", "fp16"], "'fp16' is not one of 'fp32', 'int8'."),
    ],
)
def test_a_word_that_is_no_choice_is_told_the_choices_and_nothing_of_the_library_below(emotune_command, option, words):
    ended = emotune_command(*option)
    assert ended.code == 2
    assert words in ended.err
    assert "Value error" not in ended.err
