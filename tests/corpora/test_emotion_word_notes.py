"""Emotion words as a table has them: what is said of them, and --map with the user's own spelling."""

from builders.manifests import manifest_of, utterance
from emotune.corpora.class_mapping import map_classes
from emotune.corpora.emotion_words import notes_on_words


def test_foreign_words_are_told_with_their_class_and_unknown_ones_with_near_ones():
    rows = [utterance(f"a{n}", "anger", emotion_original="Wut") for n in range(3)]
    rows += [
        utterance("b", "hapiness", emotion_original="hapiness"),
        utterance("c", "stress", emotion_original="stress"),
    ]
    foreign, unknown = notes_on_words(rows)
    assert foreign == "words of other languages: Wut -> anger (3)"
    assert "hapiness (1): like happiness (happiness)" in unknown
    assert "--map 'hapiness=happiness'" in unknown
    assert "stress" not in unknown


def test_nothing_is_said_where_all_words_are_known_english():
    assert notes_on_words([utterance("a", "anger", emotion_original="angry"), utterance("b", None)]) == []


def test_map_and_drop_take_the_words_of_the_users_own_table():
    manifest = manifest_of(utterance("a", "anger"), utterance("b", "boredom"), classes=("anger", "boredom"))
    mapped, report = map_classes(manifest, {"Langeweile": "neutral"}, ["Wut"])
    assert [row.emotion for row in mapped] == ["neutral"]
    assert report == {"boredom -> neutral": 1, "anger dropped": 1}
