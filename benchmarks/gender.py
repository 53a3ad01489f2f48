"""What a conditioned model says when gender is given, predicted, unknown or wrong: paired over speakers.

    python benchmarks/gender.py RUN [RUN ...]

Each RUN is a protocol's folder of a model with `model.conditions.gender`; several are seeds of one system. Every fold's
model answers the utterances that it was not trained on, four times: with the gender that the corpus gives, the one that
was predicted (column gender_predicted), none, and the other one.
"""

import argparse
from pathlib import Path

from emotune.conditions.gender import GenderCondition
from emotune.evaluation.comparing.compare import compare
from emotune.evaluation.comparing.line_up import System
from emotune.inference import load
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions

SOURCES = tuple(GenderCondition().sources)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("runs", type=Path, nargs="+")
    runs = parser.parse_args().runs
    pooled = [{source: answers(run, source) for source in SOURCES} for run in runs]
    truth = pooled[0]["given"][0]
    systems = [System(source, tuple(run[source][1] for run in pooled)) for source in SOURCES]
    found = compare(truth, systems, metrics=["uar"])
    print(f"{len(truth)} utterances, {found.speakers} speakers, {len(runs)} runs")
    for name, score in found.scores["uar"].items():
        print(f"gender {name}: uar {score.in_words()}")
    for item in found.differences:
        print(f"{item.system} - {item.baseline}: {item.estimate.in_words('+')}, {item.verdict}")
    for source in SOURCES:
        same = [
            row.emotion == other.emotion
            for run in pooled
            for row, other in zip(run[source][1], run["given"][1], strict=True)
        ]
        print(f"gender {source}: the same emotion as with the given one in {sum(same)} of {len(same)} answers")


def answers(run: Path, source: str) -> tuple[Manifest, Predictions]:
    """The tested utterances of all folds, and what each fold's model says of its own."""
    truths, rows, space = [], [], None
    for fold in sorted(path.parent for path in run.glob("fold_*/provenance.json")):
        tested = Manifest.read(fold / "manifest.csv").split("test")
        predicted = load(fold, conditions={"gender": source}).predict_manifest(tested)
        truths.append(tested)
        rows += predicted.rows
        space = predicted.label_space
    if space is None:
        raise SystemExit(f"{run} holds no finished fold")
    pooled = truths[0].replace_utterances([utterance for truth in truths for utterance in truth])
    return pooled, Predictions(tuple(rows), space)


if __name__ == "__main__":
    main()
