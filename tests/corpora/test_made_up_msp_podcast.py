"""The made-up MSP-Podcast is one: our reader reads it, its labels follow its votes, its sound carries its emotions."""

import csv
from collections import Counter

import audmetric
import numpy as np
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from builders.corpora.made_up_msp_podcast import make_corpus, organisers, write_corpus
from emotune.corpora import CORPORA, read_corpus

CLASSES = ("anger", "sadness", "happiness", "surprise", "fear", "disgust", "contempt", "neutral")
LETTERS = dict(zip("ASHUFDCN", CLASSES, strict=True))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made_up")
    counts = write_corpus(folder / "corpus", truth=folder / "truth.csv", scale=0.4)
    return folder, counts, read_corpus(CORPORA["msp_podcast"], folder / "corpus")


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_reader_finds_every_turn_in_its_split_and_skips_nothing(corpus):
    _, counts, manifest = corpus
    found = Counter(utterance.split for utterance in manifest)
    assert found == {name.lower(): count for name, count in counts.items()}
    assert not manifest.skipped
    assert manifest.information["warnings"] == [
        warning for warning in manifest.information["warnings"] if "no " in warning
    ]


def test_the_corpus_is_as_large_as_a_study_needs():
    speakers = {split.name: split.speakers for split in (*make_corpus.SPLITS, make_corpus.TEST3)}
    assert speakers["Train"] >= 40
    assert all(count >= 12 for count in speakers.values())
    assert sum(split.turns for split in (*make_corpus.SPLITS, make_corpus.TEST3)) >= 1200


def test_no_speaker_is_in_two_splits(corpus):
    _, _, manifest = corpus
    homes = {}
    for utterance in manifest:
        if utterance.speaker is not None:
            homes.setdefault(utterance.speaker, set()).add(utterance.split)
    assert len(homes) > 30
    assert all(len(splits) == 1 for splits in homes.values())


def test_test3_hides_labels_speakers_gender_words_and_votes(corpus):
    _, _, manifest = corpus
    hidden = [utterance for utterance in manifest if utterance.split == "test3"]
    assert all(utterance.utterance_id.startswith("MSP-PODCAST_test3_") for utterance in hidden)
    for utterance in hidden:
        assert (utterance.emotion, utterance.speaker, utterance.gender, utterance.text) == (None,) * 4
        assert not utterance.votes and not utterance.dimensions


def test_labels_are_what_most_of_at_least_five_workers_said(corpus):
    _, _, manifest = corpus
    labelled = [utterance for utterance in manifest if utterance.split != "test3"]
    codes = Counter(utterance.emotion_original for utterance in labelled)
    assert {"X", "O", *LETTERS} == set(codes)
    for utterance in labelled:
        (first, most), *others = Counter(utterance.votes).most_common(2)
        assert sum(utterance.votes.values()) >= 5
        assert utterance.emotion == (None if others and others[0][1] == most else first)
        assert all(1 <= value <= 7 for value in utterance.dimensions.values()) and len(utterance.dimensions) == 3
        assert utterance.text


def test_classes_are_uneven_as_in_the_corpus_and_even_in_test3(corpus):
    folder, _, manifest = corpus
    counts = Counter(utterance.emotion for utterance in manifest.split("train"))
    assert counts["neutral"] > counts["happiness"] > counts["surprise"] > counts["fear"] > 1
    truth = Counter(row["EmoClass"] for row in rows_of(folder / "truth.csv"))
    assert set(truth) == set(LETTERS) and len(set(truth.values())) == 1


def test_the_truth_of_test3_stays_out_of_the_tree(corpus, tmp_path):
    folder, _, manifest = corpus
    files = {row["FileName"] for row in rows_of(folder / "truth.csv")}
    assert files == {utterance.file.removeprefix("Audios/") for utterance in manifest.split("test3")}
    assert not any("test3" in path.read_text() for path in (folder / "corpus" / "Labels").iterdir())
    with pytest.raises(ValueError, match="none of the corpus's files"):
        write_corpus(tmp_path / "c", truth=tmp_path / "c" / "truth.csv", scale=0.1)


def test_the_same_seed_gives_the_same_corpus_and_another_one_another(tmp_path):
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        write_corpus(tmp_path / name, scale=0.05, seed=seed)
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*")]
    assert len(files) > 100
    assert all((tmp_path / "one" / f).read_bytes() == (tmp_path / "again" / f).read_bytes() for f in files)
    labels = "Labels/labels_consensus.csv"
    assert (tmp_path / "one" / labels).read_text() != (tmp_path / "other" / labels).read_text()


def test_clips_are_short_mono_and_not_clipped(corpus):
    folder, _, _ = corpus
    for path in sorted((folder / "corpus" / "Audios").glob("*.wav"))[::10]:
        samples, rate_hz = soundfile.read(path)
        assert rate_hz == 16000 and samples.ndim == 1
        assert 0.79 <= len(samples) / rate_hz <= 1.61
        assert 0.01 < np.abs(samples).max() <= 0.951


def features_of(path):
    """Level, length, and a mel-like average spectrum with its deviation."""
    samples, _ = soundfile.read(path)
    framed = np.lib.stride_tricks.sliding_window_view(samples, 400)[::160] * np.hanning(400)
    power = np.abs(np.fft.rfft(framed, 512)) ** 2
    bands = np.log(np.stack([part.mean(axis=1) for part in np.array_split(power[:, 2:], 24, axis=1)], axis=1) + 1e-9)
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0), [len(samples) / 16000]])


def test_simple_features_tell_emotion_and_gender_of_unknown_speakers_above_chance(corpus):
    folder, _, manifest = corpus

    def of(split, value_of):
        part = [utterance for utterance in manifest.split(split) if value_of(utterance) is not None]
        x = np.stack([features_of(folder / "corpus" / utterance.file) for utterance in part])
        return x, [value_of(utterance) for utterance in part]

    for name, chance in (("emotion", 1 / 8), ("gender", 1 / 2)):

        def value_of(utterance, name=name):
            value = getattr(utterance, name)
            return None if value in ("other", "unknown") else value

        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500, class_weight="balanced"))
        answers = model.fit(*of("train", value_of)).predict(of("test1", value_of)[0])
        recall = recall_score(of("test1", value_of)[1], answers, average="macro")
        assert chance + 0.15 < recall < 0.99, (name, recall)


def write_rows(path, header, rows):
    path.write_text("\n".join(",".join(map(str, row)) for row in (header, *rows)) + "\n")
    return path


def test_the_organisers_score_as_scikit_learn_and_our_metrics_do(corpus, tmp_path):
    folder, _, _ = corpus
    truth = rows_of(folder / "truth.csv")
    generator = np.random.default_rng(0)
    letters = [str(letter) for letter in generator.choice(list("ASHUFDCN"), len(truth))]
    rows = [(row["FileName"], letter) for row, letter in zip(truth, letters, strict=True)]
    said = organisers.verdict(write_rows(tmp_path / "c.csv", ("FileName", "EmoClass"), rows), folder / "truth.csv")
    assert said == f"categories: macro-F1 {f1_score([row['EmoClass'] for row in truth], letters, average='macro'):.3f}"

    columns = ("EmoAct", "EmoVal", "EmoDom")
    values = {c: np.array([float(row[c]) for row in truth]) for c in columns}
    guesses = {c: np.clip(v + generator.normal(0, 1, len(v)), 1, 7).round(3) for c, v in values.items()}
    rows = [(row["FileName"], *(guesses[c][i] for c in columns)) for i, row in enumerate(truth)]
    said = organisers.verdict(write_rows(tmp_path / "a.csv", ("FileName", *columns), rows), folder / "truth.csv")
    expected = [
        f"{name} {audmetric.concordance_cc(values[c], guesses[c]):.3f}"
        for name, c in zip(("arousal", "valence", "dominance"), columns, strict=True)
    ]
    assert said == "attributes: CCC " + ", ".join(expected)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda rows: rows[1:], "1 files are missing"),
        (lambda rows: [*rows, rows[0]], "named twice"),
        (lambda rows: [(rows[0][0], "X"), *rows[1:]], "letters beyond"),
    ],
)
def test_the_organisers_refuse_what_is_no_submission(corpus, tmp_path, change, complaint):
    folder, _, _ = corpus
    rows = change([(row["FileName"], row["EmoClass"]) for row in rows_of(folder / "truth.csv")])
    with pytest.raises(ValueError, match=complaint):
        organisers.verdict(write_rows(tmp_path / "c.csv", ("FileName", "EmoClass"), rows), folder / "truth.csv")
