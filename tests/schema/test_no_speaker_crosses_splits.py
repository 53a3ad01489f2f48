"""Splits of arbitrary manifests."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.manifests import manifest_of, utterance, utterances
from emotune.doctor import overlap_sentences
from emotune.errors import CorpusError
from emotune.schema import splits
from emotune.schema.manifest import Manifest
from emotune.schema.splits import assign_folds, assign_splits, few_speakers, select_splits
from emotune.schema.utterance import Utterance

CLASSES = ("anger", "neutral", "sadness")
SHARES = {"train": 0.7, "development": 0.15, "test": 0.15}
few = settings(max_examples=25, deadline=None)


@pytest.fixture(autouse=True, scope="module")
def quick():
    """Fewer restarts: what is tested here holds for every one of them."""
    patch = pytest.MonkeyPatch()
    patch.setattr(splits, "_RESTARTS", 20)
    yield
    patch.undo()


@st.composite
def manifests(draw, *, least: int = 3, most: int = 12) -> Manifest:
    """Speakers with any number of utterances each, of any class."""
    rows = []
    for speaker in range(draw(st.integers(least, most))):
        gender = draw(st.sampled_from([None, "female", "male"]))
        for emotion in draw(st.lists(st.sampled_from([None, *CLASSES]), min_size=1, max_size=15)):
            rows.append(utterance(f"u{len(rows)}", emotion, speaker=f"s{speaker}", gender=gender))
    return manifest_of(*draw(st.permutations(rows)), classes=CLASSES)


def regular(speakers: int, each: int = 6) -> Manifest:
    rows = [
        utterance(f"u{s}-{n}", CLASSES[n % 3], speaker=f"s{s}", gender=("female", "male")[s % 2],
                  session=f"session{s // 2}", content_sha256=f"{s}-{n}")
        for s in range(speakers) for n in range(each)
    ]  # fmt: skip
    return manifest_of(*rows, classes=CLASSES)


def splits_by_speaker(manifest: Manifest) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for u in manifest:
        found.setdefault(u.speaker, set()).add(u.split)
    return found


@few
@given(manifest=manifests(), seed=st.integers(0, 3))
def test_every_speaker_lies_in_one_split_every_utterance_once_and_no_split_is_empty(manifest, seed):
    result = assign_splits(manifest, SHARES, seed=seed)
    assert all(len(found) == 1 for found in splits_by_speaker(result).values())
    assert [u.utterance_id for u in result] == [u.utterance_id for u in manifest]
    assert {u.split for u in result} == set(SHARES)
    assert overlap_sentences(result) == []
    assert assign_splits(manifest, SHARES, seed=seed) == result


@few
@given(manifest=manifests(least=5), folds=st.integers(2, 5))
def test_folds_are_splits_of_equal_share(manifest, folds):
    result = assign_folds(manifest, folds)
    assert {u.split for u in result} == {f"fold_{n}" for n in range(1, folds + 1)}
    assert all(len(found) == 1 for found in splits_by_speaker(result).values())


@pytest.mark.parametrize("seed", range(3))
def test_splits_come_near_to_their_shares_in_number_class_and_gender(seed):
    result = assign_splits(regular(20), SHARES, seed=seed)
    counts = Counter(u.split for u in result)
    assert {name: counts[name] / len(result) for name in SHARES} == pytest.approx(SHARES, abs=0.01)
    for split in SHARES:
        classes = Counter(u.emotion for u in result if u.split == split)
        assert len(set(classes.values())) == 1
        genders = Counter(u.gender for u in result if u.split == split)
        assert abs(genders["female"] - genders["male"]) <= 6


def test_another_seed_gives_another_split():
    assert len({tuple(u.split for u in assign_splits(regular(12), SHARES, seed=seed)) for seed in range(4)}) > 1


def actors(numbers: dict[str, int]) -> Manifest:
    """Women and men in turn with so many utterances each, all classes alike."""
    rows = [
        utterance(f"{name}-{n}", CLASSES[n % 3], speaker=name, gender=("female", "male")[k % 2])
        for k, (name, count) in enumerate(numbers.items())
        for n in range(count)
    ]
    return manifest_of(*rows, classes=CLASSES)


def test_seeds_draw_other_speakers_where_there_are_few_and_the_shares_are_kept():
    counts = (29, 36, 33, 38, 35, 31, 34, 40, 30, 33)
    manifest = actors({f"s{n}": count for n, count in enumerate(counts)})
    trained = set()
    for seed in range(8):
        result = assign_splits(manifest, SHARES, seed=seed)
        assert assign_splits(manifest, SHARES, seed=seed) == result
        trained.add(frozenset(u.speaker for u in result if u.split == "train"))
        of_splits = Counter(u.split for u in result)
        assert {name: of_splits[name] / len(result) for name in SHARES} == pytest.approx(SHARES, abs=0.1)
        for split in SHARES:
            assert {u.emotion for u in result if u.split == split} == set(CLASSES)
    assert len(trained) >= 4


def test_a_split_of_one_speaker_is_warned_of_and_as_many_folds_are_proposed_as_have_two():
    (warning,) = few_speakers(assign_splits(regular(8), SHARES))
    assert "of 8 speakers, split 'development' has 1, split 'test' has 1" in warning
    assert "--folds 4" in warning
    assert few_speakers(assign_splits(regular(24), SHARES)) == []


@pytest.mark.parametrize("column", ["speaker", "session"])
def test_one_name_in_two_spellings_is_not_split_apart(column):
    rows = [
        Utterance(f"u{n}", "x.wav", emotion="anger", **{column: name})
        for n, name in enumerate(("spk 1", "SPK_01", "b", "c", "d"))
    ]
    with pytest.raises(CorpusError, match=rf"1 {column} is written in several ways, .*'spk 1' and 'SPK_01'.*--merge"):
        assign_splits(manifest_of(*rows, classes=CLASSES), SHARES, group=column)


def test_a_speaker_in_two_spellings_in_two_splits_is_found():
    assert overlap_sentences(in_splits(("Ana 1", "x", "train"), ("ana_1", "y", "test"))) == [
        "1 speaker in more than one split, such as Ana 1, also written ana_1 in test and train"
    ]


def test_sessions_can_be_kept_together_instead():
    result = assign_splits(regular(12), SHARES, group="session")
    found: dict[str, set[str]] = {}
    for u in result:
        found.setdefault(u.session, set()).add(u.split)
    assert all(len(names) == 1 for names in found.values())


def test_three_speakers_fill_three_splits():
    assert sorted(next(iter(found)) for found in splits_by_speaker(assign_splits(regular(3), SHARES)).values()) == [
        "development", "test", "train",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("manifest", "options", "message"),
    [
        (regular(3), {"shares": {"train": 0.5, "test": 0.4}}, "sum to 1"),
        (regular(3), {"shares": {"train": 1.5, "test": -0.5}}, "positive"),
        (regular(2), {"shares": SHARES}, "2 different values of speaker cannot fill 3 splits"),
        (regular(3), {"shares": SHARES, "group": "speakers"}, "did you mean 'speaker'"),
        (manifest_of(utterance("a")), {"shares": {"train": 1.0}}, "name no speaker"),
    ],
)
def test_what_cannot_be_split_is_an_error(manifest, options, message):
    with pytest.raises(CorpusError, match=message):
        assign_splits(manifest, **options)


def test_splits_by_the_values_of_a_column_leave_the_rest_out():
    result = select_splits(regular(4), {"train": {"speaker": ["s0", "s1"]}, "test": {"speaker": ["s3"]}})
    assert splits_by_speaker(result) == {"s0": {"train"}, "s1": {"train"}, "s3": {"test"}}
    both = select_splits(regular(4), {"train": {"gender": ["female"], "emotion": ["anger"]}})
    assert {(u.gender, u.emotion) for u in both} == {("female", "anger")}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"train": {"speakers": ["s0"]}}, r"data\.splits\.train: Unknown column 'speakers', did you mean 'speaker'"),
        ({"train": {"speaker": ["s9"]}}, "speaker s9 does not occur in the manifest, which has s0, s1"),
        ({"train": {"speaker": ["s0"]}, "test": {"speaker": ["s0"]}}, "'train' and 'test' both select u0-0"),
        ({"train": {"speaker": ["s0"], "session": ["session1"]}}, "selects no utterance"),
    ],
)
def test_a_rule_that_selects_nothing_or_too_much_is_an_error(rules, message):
    with pytest.raises(CorpusError, match=message):
        select_splits(regular(4), rules)


def in_splits(*rows: tuple[str, str, str | None]) -> Manifest:
    speakers, contents, splits = map(list, zip(*rows, strict=True))
    return manifest_of(*utterances(len(rows), speaker=speakers, content_sha256=contents, split=splits))


def test_shared_speakers_and_identical_recordings_are_found():
    assert overlap_sentences(in_splits(("s1", "x", "train"), ("s1", "y", "test"))) == [
        "1 speaker in more than one split, such as s1 in test and train"
    ]
    assert overlap_sentences(in_splits(("s1", "x", "train"), ("s2", "x", "test"))) == [
        "1 identical recording in more than one split, such as u0 in train, u1 in test"
    ]
    assert len(overlap_sentences(in_splits(("s1", "x", "train"), ("s1", "x", "test")))) == 2


def test_segments_of_one_file_in_two_splits_are_found_without_any_speaker():
    halves = [
        Utterance(f"u{n}", "call.wav", start_s=n, end_s=n + 2, content_sha256=str(n), split=split)
        for n, split in enumerate(("train", "test"))
    ]
    assert overlap_sentences(manifest_of(*halves)) == [
        "1 file in more than one split, such as call.wav: u0 in train and u1 in test overlap"
    ]


def test_what_is_in_no_split_is_shared_by_none():
    assert overlap_sentences(in_splits(("s1", "x", "train"), ("s1", "x", None), ("s2", "y", "test"))) == []
