"""Scores where words and label agree, conflict, or the words say nothing, and what the controls change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emotune.evaluation.pairs import Pairs, pair
from emotune.evaluation.statistics.bootstrap import UNIT, ClusterBootstrap, Estimate, recoded
from emotune.evaluation.words.controls import CONTROLS, EXCHANGED, FLATTENED, WITHOUT_WORDS, Controlled
from emotune.evaluation.words.reader import Reader, has_transcript, text_of
from emotune.evaluation.words.verdict import Evidence, Verdict, verdict_of
from emotune.metrics.classes import accuracy_of, confusion_matrices, uar_of
from emotune.metrics.division import FloatArray, IntArray, ratio
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions

AGREE, CONFLICT, NEUTRAL = "agree", "conflict", "neutral"
GROUPS = {
    AGREE: "the words say the labelled emotion",
    CONFLICT: "the words say another emotion",
    NEUTRAL: "the words say no emotion",
}


@dataclass(frozen=True)
class WordsGroup:
    """Utterances by what their words say: how many, of how many speakers and classes, and the scores."""

    name: str
    utterances: int
    speakers: int
    classes: tuple[str, ...]
    uar: Estimate
    accuracy: Estimate


@dataclass(frozen=True)
class ControlEffect:
    """Effect of a control: UAR under it, the difference to the same clips as they are, and changed answers."""

    name: str
    words: str
    clips: int
    uar: Estimate
    difference: Estimate
    changed: float


@dataclass(frozen=True)
class WordsAgainstVoice:
    """Evidence on which a model's answers go by, and the verdict.

    Args:
        reader: of the transcripts, in words.
        without_transcript: utterances that are in no group.
        groups: those that hold utterances.
        controls: effects on all scored clips; empty where none was run.
        takes_words: whether the model is given transcripts beside the sound; None where that is not known.
        evidence: what the verdict rests on.
        verdict: with its reason.
        overall: UAR of all scored clips.
        chance: of guessing.
    """

    reader: str
    without_transcript: int
    groups: tuple[WordsGroup, ...]
    controls: tuple[ControlEffect, ...]
    takes_words: bool | None
    evidence: Evidence
    verdict: Verdict
    overall: Estimate
    chance: float

    def to_json(self) -> dict[str, object]:
        """Plain data for a JSON file."""
        return {
            "verdict": self.verdict.name,
            "reason": self.verdict.reason,
            "reader": self.reader,
            "without_transcript": self.without_transcript,
            "takes_words": self.takes_words,
            "groups": {
                group.name: {
                    "utterances": group.utterances,
                    "speakers": group.speakers,
                    "classes": list(group.classes),
                    "uar": group.uar.to_json(),
                    "accuracy": group.accuracy.to_json(),
                }
                for group in self.groups
            },
            "controls": {
                item.name: {
                    "words": item.words,
                    "clips": item.clips,
                    "uar": item.uar.to_json(),
                    "difference": item.difference.to_json(),
                    "changed": item.changed,
                }
                for item in self.controls
            },
            "evidence": self.evidence.to_json(),
        }


def words_against_voice(
    manifest: Manifest,
    predictions: Predictions,
    reader: Reader,
    *,
    controlled: Controlled | None = None,
    takes_words: bool | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> WordsAgainstVoice | None:
    """Holds words against voice; None without classes or without transcripts.

    Args:
        manifest: the truth, with transcripts.
        predictions: of the clips as they are.
        reader: of the transcripts.
        controlled: predictions under the controls, where these were run.
        takes_words: whether the model is given transcripts.
        resamples: of the bootstrap over speakers.
        seed: of the bootstrap.

    Raises:
        EmotuneError: as ``pair`` has it.
    """
    pairs = pair(manifest, predictions)
    if not pairs.classes or not any(has_transcript(u) for u in pairs.utterances):
        return None
    said = reader.read(pairs.utterances, pairs.classes)
    groups = _rows_of(pairs, said)
    found = {
        name: _group(pairs.take(rows), name, resamples=resamples, seed=seed)
        for name, rows in groups.items()
        if len(rows)
    }
    effects = {
        control: _effect(control, pairs, pair(manifest, under), resamples, seed)
        for control, under in (controlled.predictions.items() if controlled else ())
    }
    natural, exchanged = _natural(pairs, said, groups[CONFLICT]), _exchanged(manifest, controlled)
    whole = _uar(pairs.take(np.flatnonzero(pairs.has_class)), resamples=resamples, seed=seed)
    evidence = Evidence(
        conflict=_followed(natural + exchanged, len(pairs.classes), resamples, seed),
        conflicts={"natural": len(natural), "exchanged": len(exchanged)},
        neutral=found[NEUTRAL].uar if NEUTRAL in found else Estimate(float("nan")),
        neutral_by_words=best_by_words(pairs.take(groups[NEUTRAL])),
        contrast=_contrast(manifest, controlled, resamples, seed),
        flattened=effects[FLATTENED].uar if FLATTENED in effects else Estimate(float("nan")),
        without_words=effects[WITHOUT_WORDS].uar if WITHOUT_WORDS in effects else Estimate(float("nan")),
        chance=1 / max(1, len(np.unique(pairs.truth[pairs.has_class]))),
    )
    return WordsAgainstVoice(
        reader.words,
        sum(not has_transcript(u) for u in pairs.utterances),
        tuple(found.values()),
        tuple(effects.values()),
        takes_words,
        evidence,
        verdict_of(evidence),
        whole,
        evidence.chance,
    )


def _rows_of(pairs: Pairs, said: Sequence[str | None]) -> dict[str, IntArray]:
    """Rows of each group, among those with a class and a transcript."""
    usable = [bool(truth) and has_transcript(u) for truth, u in zip(pairs.has_class, pairs.utterances, strict=True)]
    label = [pairs.classes[index] for index in pairs.truth]
    kind = [
        None if not ok else NEUTRAL if words is None else AGREE if words == own else CONFLICT
        for ok, words, own in zip(usable, said, label, strict=True)
    ]
    return {name: np.array([row for row, own in enumerate(kind) if own == name], dtype=np.int64) for name in GROUPS}


def best_by_words(pairs: Pairs) -> float:
    """Highest UAR of one answer for each sentence, chosen by the labels themselves; NaN without clips.

    Sentences that are said once give all away; two sentences that everybody says in every way give chance.
    """
    if not len(pairs):
        return float("nan")
    _, texts = np.unique([" ".join((text_of(u) or "").lower().split()) for u in pairs.utterances], return_inverse=True)
    counts = np.zeros((texts.max() + 1, len(pairs.classes)))
    np.add.at(counts, (texts, pairs.truth), 1)
    of_class = counts.sum(axis=0)
    present = of_class > 0
    return float((counts[:, present] / of_class[present]).max(axis=1).sum() / present.sum())


def _confusions(pairs: Pairs) -> FloatArray:
    codes, count = recoded(pairs.clusters)
    return np.asarray(
        confusion_matrices(pairs.truth, pairs.prediction, classes=len(pairs.classes), groups=codes, group_count=count),
        dtype=float,
    )


def _uar(pairs: Pairs, *, resamples: int, seed: int) -> Estimate:
    return ClusterBootstrap(_confusions(pairs), resamples=resamples, seed=seed).estimate(uar_of, within=UNIT)


def _group(pairs: Pairs, name: str, *, resamples: int, seed: int) -> WordsGroup:
    sums = ClusterBootstrap(_confusions(pairs), resamples=resamples, seed=seed)
    return WordsGroup(
        name,
        len(pairs),
        len({speaker for speaker in pairs.speakers if speaker is not None}),
        tuple(pairs.classes[index] for index in np.unique(pairs.truth)),
        sums.estimate(uar_of, within=UNIT),
        sums.estimate(accuracy_of, within=UNIT),
    )


def _effect(control: str, before: Pairs, after: Pairs, resamples: int, seed: int) -> ControlEffect:
    """Compares the same labelled clips, with the same draws of speakers for both."""
    place = {utterance.utterance_id: row for row, utterance in enumerate(after.utterances)}
    labelled = np.flatnonzero(before.has_class)
    rows = [int(row) for row in labelled if before.utterances[row].utterance_id in place]
    first = before.take(np.array(rows, dtype=np.int64))
    second = after.take(np.array([place[u.utterance_id] for u in first.utterances], dtype=np.int64))
    sums = ClusterBootstrap(np.stack([_confusions(first), _confusions(second)], axis=1), resamples=resamples, seed=seed)
    return ControlEffect(
        control,
        CONTROLS[control],
        len(rows),
        sums.estimate(lambda s: uar_of(s[..., 1, :, :]), within=UNIT),
        sums.estimate(lambda s: uar_of(s[..., 1, :, :]) - uar_of(s[..., 0, :, :])),
        float(ratio(np.array(float((first.prediction != second.prediction).sum())), np.array(float(len(rows))))),
    )


def _contrast(manifest: Manifest, controlled: Controlled | None, resamples: int, seed: int) -> Estimate:
    """UAR with the prosody levelled less UAR with the words filtered out, over the same clips and draws."""
    if controlled is None:
        return Estimate(float("nan"))
    kept, gone = (pair(manifest, controlled.predictions[name]) for name in (FLATTENED, WITHOUT_WORDS))
    return _effect(FLATTENED, gone, kept, resamples, seed).difference


@dataclass(frozen=True)
class _Conflict:
    """Clip in which words and label conflict: who speaks, and by class index the answer, the words and the label."""

    speaker: str
    answer: int
    words: int
    label: int


def _natural(pairs: Pairs, said: Sequence[str | None], rows: IntArray) -> list[_Conflict]:
    """Conflicts as they were recorded."""
    return [
        _Conflict(
            _cluster(pairs, row),
            int(pairs.prediction[row]),
            pairs.classes.index(said[row] or ""),
            int(pairs.truth[row]),
        )
        for row in rows
    ]


def _exchanged(manifest: Manifest, controlled: Controlled | None) -> list[_Conflict]:
    """Conflicts that exchanged transcripts make."""
    if controlled is None or EXCHANGED not in controlled.predictions:
        return []
    under = pair(manifest, controlled.predictions[EXCHANGED])
    given = [controlled.exchanged_words.get(utterance.utterance_id) for utterance in under.utterances]
    return [
        _Conflict(_cluster(under, row), int(answer), under.classes.index(words), int(truth))
        for row, (words, answer, truth) in enumerate(zip(given, under.prediction, under.truth, strict=True))
        if words is not None and truth >= 0 and words != under.classes[truth]
    ]


def _cluster(pairs: Pairs, row: int) -> str:
    return pairs.speakers[row] or pairs.utterances[row].utterance_id


def _followed(conflicts: Sequence[_Conflict], classes: int, resamples: int, seed: int) -> Estimate:
    """Share of answers that are the words' less share that are the label's, less what chance gives.

    Chance: answers drawn as often as the model gives them, whatever is said and meant. A model with one answer for all
    has 0.
    """
    if not conflicts:
        return Estimate(float("nan"))
    _, codes = np.unique([item.speaker for item in conflicts], return_inverse=True)
    eye = np.eye(classes)
    rows = np.array(
        [
            [
                1.0,
                float(item.answer == item.words) - float(item.answer == item.label),
                *eye[item.answer],
                *(eye[item.words] - eye[item.label]),
            ]
            for item in conflicts
        ]
    )
    sums = np.stack([np.bincount(codes, weights=column) for column in rows.T], axis=1)

    def lead(total: FloatArray) -> FloatArray:
        count = total[..., :1]
        answers, words_less_label = np.split(ratio(total[..., 2:], count), 2, axis=-1)
        return ratio(total[..., 1], total[..., 0]) - (answers * words_less_label).sum(axis=-1)

    return ClusterBootstrap(sums, resamples=resamples, seed=seed).estimate(lead)
