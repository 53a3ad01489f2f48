"""Votes as training learns them: annotators left out at random, and a part of secondary votes."""

import numpy as np
import pytest

from builders.manifests import utterance
from emotune.audio.preprocessing import Preprocessing
from emotune.data.dataset import EmotionDataset
from emotune.data.vote_targets import VoteTargets, refuse_unfit_votes
from emotune.errors import CorpusError, TableError
from emotune.models.heads import truths_of
from emotune.schema.labels import LabelSpace
from emotune.votes.consensus import vote_shares

CLASSES = ("anger", "fear", "neutral")


def drawn(targets: VoteTargets, row, count: int = 4000) -> np.ndarray:
    generator = np.random.default_rng(0)
    return np.array([vote_shares(targets(row, generator).votes, CLASSES) for _ in range(count)])


def test_each_annotator_is_left_out_as_often_as_asked_and_one_stays():
    row = utterance("a", votes={"anger": 3, "fear": 1, "contempt": 2})
    shares = drawn(VoteTargets(CLASSES, dropout=0.5), row)
    assert np.isfinite(shares).all()
    # over the 15 sets of four annotators that hold one at least; of an empty one any of the four is taken
    sets = [[bool(n >> place & 1) for place in range(4)] for n in range(1, 16)]
    of_fear = [chosen[3] / sum(chosen) for chosen in sets]
    expected = (sum(of_fear) + 0.25) / 16
    assert shares[:, 1].mean() == pytest.approx(expected, abs=0.015)
    assert set(np.round(shares[:, 1], 6)) == {0.0, 1.0, 0.5, 0.333333, 0.25}


def test_secondary_votes_give_their_share_of_the_target_and_none_where_there_are_none():
    targets = VoteTargets(CLASSES, secondary=0.1)
    votes = {"anger": 3.0, "fear": 1.0}
    extra = {
        "secondary.fear": "1",
        "secondary.neutral": 3,
        "secondary.contempt": 9,
        "secondary.anger": None,
        "note": "x",
    }
    row = utterance("a", votes=votes, extra=extra)
    assert drawn(targets, row, 1)[0] == pytest.approx([0.675, 0.225 + 0.025, 0.075])
    assert drawn(targets, utterance("b", votes=votes), 1)[0] == pytest.approx([0.75, 0.25, 0])
    assert not targets(utterance("c", extra=extra), np.random.default_rng(0)).votes
    assert vote_shares(targets.mean(row).votes, CLASSES) == pytest.approx([0.675, 0.25, 0.075])


def test_a_dataset_draws_anew_in_every_epoch_and_keeps_the_votes_of_the_manifest(tones):
    manifest = tones.replace_utterances(
        [utterance(u.utterance_id, u.emotion, votes={"anger": 5, "neutral": 5}) for u in tones][:1]
    )
    space = LabelSpace(("anger", "neutral"))
    targets = VoteTargets(space.classes, dropout=0.5)
    dataset = EmotionDataset(manifest, truths_of(space), Preprocessing(), votes=targets, seed=3)
    dataset._samples_of = lambda row: np.zeros(800, dtype=np.float32)
    shares = [dataset[epoch, 0].truth["votes"] for epoch in range(6)]
    assert len(set(shares)) > 2
    assert [dataset[epoch, 0].truth["votes"] for epoch in range(6)] == shares
    assert manifest.utterances[0].votes == {"anger": 5, "neutral": 5}


def test_what_cannot_be_done_with_these_votes_is_refused():
    with pytest.raises(CorpusError, match=r"dropout leaves out single annotators, and the votes of a are no whole"):
        refuse_unfit_votes([utterance("a", votes={"anger": 0.5})], dropout=0.1, secondary=0)
    with pytest.raises(CorpusError, match=r"secondary needs columns secondary\.<class>"):
        refuse_unfit_votes([utterance("a", votes={"anger": 1})], dropout=0, secondary=0.1)
    with pytest.raises(TableError, match=r"a, secondary\.fear: expected a number, got 'much'"):
        refuse_unfit_votes([utterance("a", extra={"secondary.fear": "much"})], dropout=0, secondary=0.1)
