"""Whatever a model prefers, what it writes is legal, and everything legal can be written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.sequences import EMOTION, PHONEMES, SLOTS, WORDS
from emotune.errors import ConfigError
from emotune.models.sequences.grammar import FreeText, Grammar, Writing
from emotune.models.sequences.spelling import CharacterSpelling
from emotune.models.sequences.spoken_task import SpeltTask, SpokenTask

END = 97
LETTERS = st.text("ab#", min_size=1, max_size=4)


def written(grammar: Grammar, most_tokens: int, seed: int) -> list[int]:
    """Tokens that somebody writes who prefers others at every step."""
    preferences, writing = np.random.default_rng(seed), Writing(grammar, most_tokens)
    while not writing.ended:
        assert writing.allowed, "a sequence must be able to go on or to end"
        writing.add(max(writing.allowed, key=lambda _: preferences.random()))
    return writing.tokens


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(LETTERS, min_size=1, max_size=5, unique=True),
    writes=st.sampled_from(["label", "symbols", "slots"]),
    room=st.integers(0, 12),
    seed=st.integers(0, 10_000),
)
def test_what_is_written_is_always_legal_and_never_too_long(items, writes, room, seed):
    task = SpokenTask("task", writes, "column", tuple(items), most_tokens=100)
    spelt = SpeltTask(task, CharacterSpelling(), end=END)
    most_tokens = spelt.grammar.fewest + room
    tokens = written(spelt.grammar, most_tokens, seed)
    assert len(tokens) + 1 <= most_tokens
    assert spelt.grammar.accepts(tokens)
    parts = task.parts(spelt.answer(tokens))
    assert set(parts) <= set(items)
    assert writes != "label" or len(parts) == 1
    assert spelt.tokens(spelt.answer(tokens)) == tokens, "an answer reads back as its tokens"


@settings(max_examples=40, deadline=None)
@given(
    items=st.lists(LETTERS, min_size=1, max_size=4, unique=True),
    chosen=st.lists(st.integers(0, 3), max_size=4),
)
def test_every_sequence_of_items_can_be_written(items, chosen):
    for writes in ("symbols", "slots"):
        spelt = SpeltTask(SpokenTask("task", writes, "column", tuple(items)), CharacterSpelling(), end=END)
        answer = spelt.task.written([items[place % len(items)] for place in chosen])
        writing = Writing(spelt.grammar, spelt.task.most_tokens)
        for token in (*spelt.tokens(answer), END):
            assert token in writing.allowed
            writing.add(token)
        assert spelt.answer(writing.tokens) == answer


def test_a_label_that_begins_as_another_one_may_end_or_go_on():
    spelt = SpeltTask(EMOTION, CharacterSpelling(), end=END)
    writing = Writing(spelt.grammar, EMOTION.most_tokens)
    for token in spelt.tokens("neutral"):
        writing.add(token)
    assert writing.allowed == sorted([END, CharacterSpelling().encode("i")[0]])
    near_the_end = Writing(spelt.grammar, len(spelt.tokens("neutral")) + 1)
    for token in spelt.tokens("neutral"):
        near_the_end.add(token)
    assert near_the_end.allowed == [END], "neutrality does not fit any more"


def test_what_is_no_sequence_of_items_is_not_accepted():
    spelt = SpeltTask(PHONEMES, CharacterSpelling(), end=END)
    spell = CharacterSpelling().encode
    assert spelt.grammar.accepts(spell(" t a# tS")) and spelt.grammar.accepts([])
    for wrong in (" ", " ta", " t S", "t", " t  a"):
        assert not spelt.grammar.accepts(spell(wrong))
    assert not spelt.grammar.accepts([*spell(" t"), END])


def test_free_text_ends_where_its_room_does():
    grammar = FreeText(5, end=7)
    assert grammar.alphabet == (0, 1, 2, 3, 4, 7)
    assert grammar.legal(grammar.start, 2) == [0, 1, 2, 3, 4, 7]
    assert grammar.legal(grammar.start, 1) == [7]


@pytest.mark.parametrize(
    ("task", "answer", "parts"),
    [
        (SLOTS, " room hall;number two ", ["room hall", "number two"]),
        (SLOTS, "", []),
        (PHONEMES, "t  a#", ["t", "a#"]),
        (EMOTION, "anger", ["anger"]),
        (WORDS, "turn it  on", ["turn", "it", "on"]),
    ],
)
def test_an_answer_is_read_as_its_parts_however_it_is_spaced(task, answer, parts):
    assert task.parts(answer) == parts


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SpokenTask("a task", "text", "text"), "no name of a task"),
        (lambda: SpokenTask("task", "label", "emotion"), "has items unless it writes text"),
        (lambda: SpokenTask("task", "text", "text", joins="stacked"), "joins is 'stacked' with 0"),
        (lambda: SpokenTask("task", "text", "text", joins="fused", uses=("one", "one")), "two or more different"),
        (lambda: SpeltTask(SpokenTask("t", "slots", "s", ("room; hall",)), CharacterSpelling(), end=END), "room; hall"),
        (lambda: SpeltTask(SpokenTask("t", "symbols", "s", ("a b",)), CharacterSpelling(), end=END), "a b"),
        (lambda: SpeltTask(EMOTION, CharacterSpelling(), end=END).tokens("joy"), "'joy' is not among its 3 items"),
        (lambda: SpeltTask(WORDS, CharacterSpelling(), end=END).tokens("a" * 30), "raise tasks.words.most_tokens"),
        (lambda: CharacterSpelling().encode("größer"), "ASCII"),
    ],
)
def test_a_task_that_cannot_be_written_is_refused(make, said):
    with pytest.raises(Exception, match=said) as caught:
        make()
    assert isinstance(caught.value, ConfigError) or "ASCII" in said
