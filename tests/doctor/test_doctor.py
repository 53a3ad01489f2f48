"""What the doctor finds in the table alone."""

from functools import partial

import pytest

from builders import manifests
from emotune.doctor import overlaps, refuse_overlaps
from emotune.doctor.coverage import coverage
from emotune.errors import CorpusError
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance

manifest_of = partial(manifests.manifest_of, classes=("anger", "neutral"))


def clip(name: str, split: str | None, **fields) -> Utterance:
    return Utterance(name, f"{name}.wav", split=split, **{"content_sha256": name, **fields})


def found_in(manifest: Manifest) -> dict[str, str]:
    return {finding.code: finding.severity for finding in overlaps(manifest)}


def test_speakers_of_one_name_in_two_corpora_are_two_speakers():
    one, other = clip("a", "train", speaker="1", corpus="x"), clip("b", "test", speaker="1", corpus="y")
    assert found_in(manifest_of(one, other)) == {}
    assert found_in(manifest_of(one, clip("b", "test", speaker="1", corpus="x"))) == {"speaker_overlap": "error"}


def test_near_copies_are_followed_through_a_recording_that_the_manifest_lacks():
    gone = "left out"
    manifest = manifest_of(clip("a", "train", copy_of=gone), clip("b", "test", copy_of=gone))
    (finding,) = overlaps(manifest)
    assert (finding.code, finding.sentence) == (
        "copy_overlap",
        "1 near copy of a recording in another split, such as a in train, b in test",
    )
    assert found_in(manifest_of(clip("a", "train"), clip("b", "train", copy_of="a"))) == {"duplicates": "note"}
    assert found_in(manifest_of(clip("a", "train"), clip("b", None, copy_of="a"))) == {"duplicates": "note"}


def test_a_copy_of_a_copy_in_a_third_split_is_found():
    chain = [clip("a", "train"), clip("b", "train", copy_of="a"), clip("c", "test", copy_of="b")]
    assert [case.utterances for finding in overlaps(manifest_of(*chain)) for case in finding.cases] == [("a", "c")]


def test_an_identical_recording_is_not_also_a_near_copy():
    same = [clip("a", "train"), clip("b", "test", content_sha256="a", copy_of="a")]
    assert found_in(manifest_of(*same)) == {"recording_overlap": "error"}


def segment(name: str, split: str, start_s: float | None, end_s: float | None, speaker: str | None = None) -> Utterance:
    return Utterance(name, "call.wav", start_s=start_s, end_s=end_s, split=split, speaker=speaker)


def test_overlapping_segments_across_splits_are_an_error_whoever_speaks():
    rows = [segment("a", "train", 0, 10, "x"), segment("b", "train", 1, 2, "x"), segment("c", "test", 9, 12, "y")]
    (finding,) = overlaps(manifest_of(*rows))
    assert finding.sentence.endswith("such as call.wav: a in train and c in test overlap")
    whole = manifest_of(segment("a", "train", None, None), segment("b", "test", 5, 6))
    assert found_in(whole) == {"file_overlap": "error"}


def test_segments_apart_are_an_error_unless_their_speakers_are_known_and_different():
    assert found_in(manifest_of(segment("a", "train", 0, 5), segment("b", "test", 5, 9))) == {"file_overlap": "error"}
    strangers = [segment("a", "train", 0, 5, "x"), segment("b", "test", 5, 9, "y")]
    assert found_in(manifest_of(*strangers)) == {"file_shared": "note"}


def test_labels_that_differ_between_copies_are_an_error_across_splits_and_a_note_inside():
    one = clip("a", "train", emotion="anger")
    assert found_in(manifest_of(one, clip("b", "train", copy_of="a", emotion="neutral"))) == {
        "label_conflict_inside": "note",
        "duplicates": "note",
    }
    across = found_in(manifest_of(one, clip("b", "test", copy_of="a", emotion="neutral")))
    assert across == {"copy_overlap": "error", "label_conflict": "error"}


def test_each_overlap_is_refused_until_its_own_word_allows_it():
    speakers = manifest_of(clip("a", "train", speaker="1"), clip("b", "test", speaker="1"))
    copies = manifest_of(clip("a", "train", speaker="1"), clip("b", "test", speaker="2", copy_of="a"))
    for manifest, word, other in (
        (speakers, "speaker_overlap", "recording_overlap"),
        (copies, "recording_overlap", "speaker_overlap"),
    ):
        with pytest.raises(CorpusError, match=rf"data\.allow=\[{word}\]"):
            refuse_overlaps(manifest, allow=[other])
        refuse_overlaps(manifest, allow=[word])


def test_classes_are_too_small_by_utterances_or_by_speakers():
    def many(count: int, speakers: int) -> list[Utterance]:
        return [
            clip(f"u{n}", "test", emotion="anger", speaker=f"s{n % speakers}", gender="female") for n in range(count)
        ]

    def codes(members: list[Utterance]) -> set[str]:
        return {finding.code for finding in coverage(manifest_of(*members))}

    assert codes(many(10, 2)) == {"class_absent"}
    assert codes(many(9, 2)) == {"class_absent", "class_small"}
    assert codes(many(10, 1)) == {"class_absent", "class_small", "one_speaker"}


def test_what_is_unknown_is_said():
    rows = [clip("a", "train", gender="unknown", text="Hello  there"), clip("b", "test", text="hello there")]
    found = {finding.code: finding.sentence for finding in coverage(manifest_of(*rows, clip("c", None)))}
    assert found["unknown_speaker"].startswith("3 utterances of unknown speakers")
    assert found["unknown_gender"].startswith("3 utterances of unknown gender")
    assert found["shared_text"].endswith("such as 'hello there' in test and train")
    assert found["unassigned"].startswith("1 utterance in no split")
    assert "no_split" in {finding.code for finding in coverage(manifest_of(clip("c", None)))}
