"""eGeMAPS with logistic regression, the baseline of `mini`, on the splits of a joined manifest.

    pip install opensmile
    python benchmarks/egemaps.py MANIFEST OUT.json

The manifest has the splits train, development and test, and several corpora. The 88 functionals of each utterance are
standardised over the training utterances; each class of each corpus weighs the same; C is chosen on development. Scored
are the test speakers of each corpus, and all speakers of each corpus by a model that never saw it. Intervals are over
speakers. openSMILE is free for research alone: nothing in the package needs it.
"""

import argparse
from pathlib import Path

import numpy as np
import opensmile
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emotune.audio import SAMPLING_RATE_HZ
from emotune.evaluation import evaluate, scores
from emotune.io.tables import to_json
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.splits import DEVELOPMENT, TEST, TRAIN

GRID = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
"""C of the logistic regression."""


def functionals(manifest: Manifest) -> NDArray[np.float64]:
    """The 88 functionals of eGeMAPS v02 of each utterance, shape (utterances, 88)."""
    extractor = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    rows = [
        extractor.process_signal(manifest.clip_of(utterance).samples, SAMPLING_RATE_HZ).to_numpy()[0]
        for utterance in manifest
    ]
    return np.nan_to_num(np.array(rows, dtype=float))


def answers(features: NDArray[np.float64], manifest: Manifest, train: NDArray[np.bool_], inverse: float) -> Predictions:
    """What a model fitted on some of the utterances answers to all."""
    cells = np.array([f"{utterance.corpus} {utterance.emotion}" for utterance in manifest])[train]
    names, counts = np.unique(cells, return_counts=True)
    weights = 1 / counts[np.searchsorted(names, cells)]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=inverse, max_iter=2000))
    emotions = np.array([utterance.emotion for utterance in manifest])
    model.fit(features[train], emotions[train], logisticregression__sample_weight=weights / weights.mean())
    rows = [
        Prediction(utterance.utterance_id, dict(zip(model.classes_.tolist(), map(float, shares), strict=True)))
        for utterance, shares in zip(manifest, model.predict_proba(features), strict=True)
    ]
    return Predictions(tuple(rows), manifest.label_space)


def part(manifest: Manifest, predictions: Predictions, chosen: NDArray[np.bool_]) -> tuple[Manifest, Predictions]:
    """Some of the utterances with their answers."""
    utterances = [utterance for utterance, keep in zip(manifest, chosen, strict=True) if keep]
    rows = tuple(row for row, keep in zip(predictions, chosen, strict=True) if keep)
    return manifest.replace_utterances(utterances), Predictions(rows, predictions.label_space)


def chosen_and_scored(
    features: NDArray[np.float64],
    manifest: Manifest,
    train: NDArray[np.bool_],
    development: NDArray[np.bool_],
    tests: dict[str, NDArray[np.bool_]],
) -> dict[str, object]:
    """Fits on ``train`` with the C that is best on ``development``; UAR on each part of ``tests``."""
    by_strength = {inverse: answers(features, manifest, train, inverse) for inverse in GRID}
    on_development = {c: scores(*part(manifest, said, development))["uar"] for c, said in by_strength.items()}
    best = max(on_development, key=lambda inverse: on_development[inverse])
    found = {name: evaluate(*part(manifest, by_strength[best], test)) for name, test in tests.items()}
    return {
        "C": best,
        "development_uar": on_development[best],
        "uar": {name: evaluation.overall["uar"].to_json() for name, evaluation in found.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    manifest = Manifest.read(arguments.manifest)
    features = functionals(manifest)
    corpora = np.array([utterance.corpus for utterance in manifest])
    split = np.array([utterance.split for utterance in manifest])
    names = sorted(set(corpora))
    of_corpus = {name: corpora == name for name in names}
    results = {
        "within_corpus": chosen_and_scored(
            features,
            manifest,
            split == TRAIN,
            split == DEVELOPMENT,
            {name: (split == TEST) & of for name, of in of_corpus.items()} | {"all": split == TEST},
        ),
        "corpus_left_out": {
            name: chosen_and_scored(
                features, manifest, ~of & (split == TRAIN), ~of & (split == DEVELOPMENT), {"all speakers": of}
            )
            for name, of in of_corpus.items()
        },
    }
    arguments.out.write_text(to_json(results) + "\n", encoding="utf-8")
    print(to_json(results))


if __name__ == "__main__":
    main()
