"""Comparison of systems on one test set: differences, their significance, and the smallest detectable one.

Results hold for other *speakers*: scores of systems are taken on the same resamples of speakers, and the test
swaps the systems' predictions by whole speakers. Where a system is several runs (seeds), its score is their mean.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from emotune.errors import ConfigError
from emotune.evaluation.comparing.comparison import POWER, SIGNIFICANT, Comparison, Difference
from emotune.evaluation.comparing.line_up import Lineup, System, line_up
from emotune.evaluation.comparing.verdicts import notes_of_comparison, verdict
from emotune.evaluation.evaluate import CLASS_MEASURES
from emotune.evaluation.statistics.bootstrap import UNIT, ClusterBootstrap, Estimate
from emotune.evaluation.statistics.chance import chance_of, chance_words
from emotune.evaluation.statistics.permutation import enumerates, holm, swap_test
from emotune.evaluation.statistics.t_distribution import t_quantile
from emotune.metrics.dimensions import ccc_of, pearson_of, rmse_of
from emotune.metrics.division import FloatArray
from emotune.registry import unknown_name_message
from emotune.schema.manifest import Manifest

Measure = Callable[[FloatArray], NDArray]
_DIMENSION_MEASURES: dict[str, Measure] = {"ccc": ccc_of, "pearson": pearson_of, "rmse": rmse_of}


def compare(
    manifest: Manifest,
    systems: Sequence[System],
    *,
    metrics: Sequence[str] = (),
    all_pairs: bool = False,
    pairs: Sequence[tuple[str, str]] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Comparison:
    """Compares systems on the utterances that all of them have predicted.

    Args:
        manifest: the truth.
        systems: the first is the baseline that the others are compared with.
        metrics: of ``uar``, ``macro_f1``, ``macro_f1_true_classes``, ``micro_f1``, ``accuracy``, ``ccc`` (mean over the
            dimensions) and ``ccc.<dimension>``, ``pearson.<dimension>``, ``rmse.<dimension>``; when empty, ``uar`` and
            ``macro_f1`` where there are classes and ``ccc`` where there are dimensions.
        all_pairs: compare every two systems.
        pairs: compare these alone, each (baseline, system) by name; Holm's correction then is for these. There may be
            none, and then one system is enough.
        resamples: of the bootstrap and of the test.
        seed: of both.
        notes: what else a reader should know.

    Raises:
        ConfigError: for a metric that cannot be had here.
        EmotuneError: as ``line_up`` does.
    """
    lineup = line_up(manifest, systems, least=2 if pairs is None else 1)
    measures = measures_of(lineup, metrics)
    compared = _pairs(lineup.names, pairs, all_pairs=all_pairs)
    rate = partial(_rate, lineup, measures, compared, resamples=resamples, seed=seed)
    confusions = lineup.confusions() if lineup.classes else None
    moments = lineup.moments() if lineup.dimensions else None
    scores, differences = rate(confusions, moments)
    failures_wrong = ()
    if lineup.classes and not lineup.answered[lineup.truth >= 0].all():
        _, failures_wrong = rate(lineup.confusions(without_answer=True), None)
    chances = list(_against_chance(lineup, measures, confusions, moments, resamples=resamples, seed=seed))
    kept = [name for name, answered in zip(lineup.speakers, lineup.answered, strict=True) if answered]
    speakers = len(set(kept) - {None})
    comparison = Comparison(
        runs={system.name: len(system.runs) for system in systems},
        utterances=len(manifest),
        compared=len(kept),
        speakers=speakers,
        clusters=speakers + kept.count(None),
        classes=lineup.classes,
        below_chance=tuple(first for first, _ in chances if first),
        scores=scores,
        differences=differences,
        failures_wrong=failures_wrong,
        left_out=lineup.left_out,
        notes=(),
        resamples=resamples,
        seed=seed,
    )
    weak = [note for _, note in chances if note]
    return dataclasses.replace(
        comparison, notes=(*weak, *notes, *lineup.notes, *notes_of_comparison(comparison, kept.count(None)))
    )


def _against_chance(
    lineup: Lineup,
    wanted: Mapping[str, Measure],
    confusions: NDArray | None,
    moments: NDArray | None,
    *,
    resamples: int,
    seed: int,
) -> Iterator[tuple[str | None, str | None]]:
    """Compares with guessing, of classes and of dimensions, as far as a wanted metric is of them."""
    of_classes = [metric in CLASS_MEASURES for metric in wanted]
    for metric, sums, asked in (("uar", confusions, any(of_classes)), ("ccc", moments, not all(of_classes))):
        if sums is not None and asked:
            bootstrap = ClusterBootstrap(sums, resamples=resamples, seed=seed)
            measure = measures_of(lineup, [metric])[metric]
            of_systems = partial(score_of_systems, measure, lineup.columns)
            found = bootstrap.estimates(of_systems, within=UNIT if metric == "uar" else None)
            yield chance_words(
                metric, dict(zip(lineup.names, found, strict=True)), chance_of(metric, lineup.truth[lineup.answered])
            )


def detectable_difference(standard_error: float, clusters: int, *, comparisons: int = 1) -> float:
    """Minimum detectable difference: a two-sided test at .05 finds it with a power of 80 %.

    It is (t of .975 + t of .80) standard errors, with clusters - 1 degrees of freedom: about 2.8 for many speakers. Of
    several comparisons each is taken to be tested at .05 over their number, which is at most a little too strict.

    Reference:
        Bloom (1995), Minimum Detectable Effects, Evaluation Review 19(5).

    >>> round(detectable_difference(0.01, 24), 4)
    0.0293
    """
    if clusters < 2:
        return float("nan")
    return (
        t_quantile(1 - SIGNIFICANT / 2 / comparisons, clusters - 1) + t_quantile(POWER, clusters - 1)
    ) * standard_error


def _pairs(names: Sequence[str], wanted: Sequence[tuple[str, str]] | None, *, all_pairs: bool) -> list[tuple[int, int]]:
    """Pairs of baseline and system, by position."""
    if wanted is None:
        return [(a, b) for b in range(len(names)) for a in range(b + 1, len(names)) if b == 0 or all_pairs]
    unknown = [name for pair in wanted for name in pair if name not in names]
    if unknown:
        raise ConfigError(unknown_name_message("system", unknown[0], names))
    return [(names.index(system), names.index(baseline)) for baseline, system in wanted]


def comparable(classes: bool, dimensions: Sequence[str]) -> list[str]:
    """The metrics that systems with classes, and with these dimensions, can be compared by."""
    kinds = [f"{kind}.{name}" for kind in _DIMENSION_MEASURES for name in dimensions]
    return [*(CLASS_MEASURES if classes else []), *(["ccc", *kinds] if dimensions else [])]


def measures_of(lineup: Lineup, wanted: Sequence[str]) -> dict[str, Measure]:
    """Metric -> measure, from sums (..., runs, statistics) to scores (..., runs).

    Raises:
        ConfigError: for a metric that cannot be had here.
    """
    offered: dict[str, Measure] = dict(CLASS_MEASURES) if lineup.classes else {}
    if lineup.dimensions:
        offered["ccc"] = lambda sums: ccc_of(sums).mean(axis=-1)
        for kind, measure in _DIMENSION_MEASURES.items():
            for number, name in enumerate(lineup.dimensions):
                offered[f"{kind}.{name}"] = partial(_one_dimension, measure, number)
    usual = [name for name in ("uar", "macro_f1", "ccc") if name in offered]
    unknown = [name for name in wanted if name not in offered]
    if unknown:
        raise ConfigError(f"Metric '{unknown[0]}' cannot be compared here. There are: {', '.join(offered)}.")
    return {name: offered[name] for name in dict.fromkeys(wanted or usual)}


def _one_dimension(measure: Measure, number: int, sums: FloatArray) -> NDArray:
    return measure(sums[..., number, :])


def _rate(
    lineup: Lineup,
    measures: Mapping[str, Measure],
    pairs: Sequence[tuple[int, int]],
    confusions: NDArray | None,
    moments: NDArray | None,
    *,
    resamples: int,
    seed: int,
) -> tuple[dict[str, dict[str, Estimate]], tuple[Difference, ...]]:
    """Scores and differences by each metric that there are sums for."""
    scores: dict[str, dict[str, Estimate]] = {}
    found: list[Difference] = []
    for metric, measure in measures.items():
        sums = confusions if metric in CLASS_MEASURES else moments
        if sums is None:
            continue
        bootstrap = ClusterBootstrap(sums, resamples=resamples, seed=seed)
        of_systems = partial(score_of_systems, measure, lineup.columns)
        within = UNIT if metric in CLASS_MEASURES else None
        scores[metric] = dict(zip(lineup.names, bootstrap.estimates(of_systems, within=within), strict=True))
        of_metric = [
            _difference(
                metric,
                (lineup.names[system], lineup.names[baseline]),
                bootstrap,
                lambda total, one=system, other=baseline, of=of_systems: of(total)[..., one] - of(total)[..., other],
                (sums[:, list(lineup.columns[system])], sums[:, list(lineup.columns[baseline])]),
                partial(_of_runs, measure),
                family=len(pairs),
                resamples=resamples,
                seed=seed,
            )
            for system, baseline in pairs
        ]
        corrected = holm([item.p for item in of_metric])
        found += [dataclasses.replace(item, corrected_p=p) for item, p in zip(of_metric, corrected, strict=True)]
    return scores, tuple(dataclasses.replace(item, verdict=verdict(item)) for item in found)


def _of_runs(measure: Measure, sums: FloatArray) -> NDArray:
    return measure(sums).mean(axis=-1)


def score_of_systems(measure: Measure, columns: Sequence[range], sums: FloatArray) -> NDArray:
    """Scores of the systems, each the mean over its runs, shape (..., systems)."""
    of_runs = measure(sums)
    return np.stack([of_runs[..., list(own)].mean(axis=-1) for own in columns], axis=-1)


def _difference(
    metric: str,
    names: tuple[str, str],
    bootstrap: ClusterBootstrap,
    difference: Measure,
    sums: tuple[NDArray, NDArray],
    measure: Measure,
    *,
    family: int,
    resamples: int,
    seed: int,
) -> Difference:
    clusters = bootstrap.clusters
    p = smallest = error = float("nan")
    first, second = _as_many(*sums)
    if clusters >= 2 and first.shape == second.shape:
        p = swap_test(first, second, measure, resamples=resamples, seed=seed)
        smallest = 2.0 ** (1 - clusters) if enumerates(clusters, resamples) else 1 / (resamples + 1)
        smallest = min(1.0, smallest * family)
    if bootstrap.resampled is not None:
        spread = difference(bootstrap.resampled)
        spread = spread[np.isfinite(spread)]
        if len(spread) >= 2:  # resamples of n clusters spread by sqrt((n - 1) / n) too little
            error = float(spread.std(ddof=1)) * math.sqrt(clusters / (clusters - 1))
    return Difference(
        metric,
        *names,
        bootstrap.estimate(difference),
        p,
        p,
        smallest,
        detectable_difference(error, clusters, comparisons=family),
    )


def _as_many(first: NDArray, second: NDArray) -> tuple[NDArray, NDArray]:
    """Sums of two systems, a single run of the one repeated for each run of the other, with which it is swapped."""
    runs = max(first.shape[1], second.shape[1])
    first, second = (np.repeat(sums, runs, axis=1) if sums.shape[1] == 1 else sums for sums in (first, second))
    return first, second
