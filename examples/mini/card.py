"""The cards of `mini` and of its variant on EmoDB alone, with the figures that `emotune evaluate` wrote.

    python examples/mini/card.py RUNS

RUNS holds the runs mini, emodb and without_<corpus>, each evaluated on its test split, mini and emodb with --robustness
too, and emodb also on ravdess and nemo. With RUNS/egemaps.json, of benchmarks/egemaps.py, the baseline stands beside.
Writes RUNS/mini/model/README.md and RUNS/emodb/model/README.md.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from emotune.evaluation import evaluate
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions, align
from emotune.schema.splits import TEST

HERE = Path(__file__).resolve().parent
CORPORA = {"ravdess": ("RAVDESS", "en"), "emodb": ("EmoDB, four classes", "de"), "nemo": ("nEMO, a part", "pl")}
CHANNELS = {
    "telephone": "telephone, 8 kHz, A-law",
    "white_10db": "white noise, 10 dB under the speech",
    "babble_10db": "other people talking, 10 dB under the speech",
    "opus": "Opus at 6 kbit/s",
    "mp3": "MP3 at 16 kbit/s",
    "room_800ms": "room of 0.8 s",
    "quiet": "20 dB softer",
}


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def words(estimate: Mapping[str, float | None]) -> str:
    """A score with its interval, where there is one."""
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def table(head: str, rows: list[str]) -> str:
    columns = head.count("|") - 1
    return "\n".join([head, "|" + "---|" * columns, *rows])


def within(report: Mapping[str, Any], egemaps: Mapping[str, Any] | None) -> str:
    """Test speakers of each corpus, which are those of each language, and of all together."""
    by_language = {group["name"]: group for group in report["groups"] if group["by"] == "language"}
    rows = []
    for corpus, (name, language) in CORPORA.items():
        group = by_language[language]
        baseline = "" if egemaps is None else words(egemaps["within_corpus"]["uar"][corpus])
        clips = f"{group['speakers']} speakers, {group['utterances']} clips"
        rows.append(f"| {name} | {clips} | {words(group['scores']['uar'])} | {baseline} |")
    overall = words(report["overall"]["uar"])
    baseline = "" if egemaps is None else words(egemaps["within_corpus"]["uar"]["all"])
    rows.append(f"| all | {report['speakers']} speakers, {report['scored']} clips | {overall} | {baseline} |")
    return table("| corpus | never heard in training | UAR | eGeMAPS |", rows)


def left_out(unheard: Mapping[str, Mapping[str, Any]], egemaps: Mapping[str, Any] | None) -> str:
    """Whole corpora that a model of the same recipe never heard."""
    rows, means = [], []
    for corpus, (name, _) in CORPORA.items():
        report = unheard[corpus]
        found = report["overall"]["uar"]
        other = None if egemaps is None else egemaps["corpus_left_out"][corpus]["uar"]["all speakers"]
        means.append((found["value"], None if other is None else other["value"]))
        baseline = "" if other is None else words(other)
        rows.append(
            f"| {name} | {report['speakers']} speakers, {report['scored']} clips | {words(found)} | {baseline} |"
        )
    mean, other = sum(value for value, _ in means) / len(means), [value for _, value in means if value is not None]
    baseline = f"{sum(other) / len(other):.3f}" if other else ""
    rows.append(f"| mean of the three | | {mean:.3f} | {baseline} |")
    return table("| corpus left out | | UAR | eGeMAPS |", rows)


def left_out_test(runs: Path) -> str:
    """The same models on the speakers of the corpus left out that chose nothing: the test speakers of mini."""
    rows, values = [], []
    test = Manifest.read(runs / "mini" / "manifest.csv").split(TEST)
    for corpus, (name, _) in CORPORA.items():
        part = test.filter(lambda utterance, corpus=corpus: utterance.corpus == corpus)
        said = Predictions.read(runs / f"without_{corpus}" / "test" / "predictions.csv")
        kept = tuple(align(said, [utterance.utterance_id for utterance in part]))
        found = evaluate(part, Predictions(kept, said.label_space)).overall["uar"]
        values.append(found.value)
        rows.append(f"| {name} | {found.in_words()} |")
    rows.append(f"| mean of the three | {sum(values) / len(values):.3f} |")
    return table("| corpus left out, test speakers | UAR |", rows)


def robustness(run: Path) -> str:
    """UAR of the same clips after noise, rooms and channels."""
    report = read(run / "test" / "robustness.json")
    rows = [f"| as they are | {words(report['clean']['uar'])} | |"]
    for name, said in CHANNELS.items():
        if name in report["skipped"]:  # no other people for the babble
            continue
        effect = report["conditions"][name]
        rows.append(f"| {said} | {words(effect['scores']['uar'])} | {words(effect['differences']['uar'])} |")
    return table("| condition | UAR | difference |", rows)


def recalls(report: Mapping[str, Any]) -> str:
    rows = [
        f"| {row['class']} | {row['support']} | {words(row['recall'])} | {row['precision']:.3f} |"
        for row in report["per_class"]
    ]
    return table("| class | clips | recall | precision |", rows)


def calibration(report: Mapping[str, Any]) -> str:
    """Calibration and abstention in sentences."""
    error = report["calibration"]["expected_calibration_error"]["value"]
    promised = report["abstention"]["promised"]
    return (
        f"Expected calibration error {error:.3f}. Answering the surest {promised['share']:.0%} by the threshold that"
        f" development speakers set ({promised['threshold']:.3f}), it answered {promised['coverage']['value']:.0%} of"
        f" the test clips, with an accuracy of {promised['accuracy']['value']:.3f} where that of all clips is"
        f" {report['overall']['accuracy']['value']:.3f}."
    )


def calibration_elsewhere(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """Calibration on corpora that a model never heard, in a sentence."""
    errors = [
        f"{CORPORA[corpus][0].split(',')[0]} {report['calibration']['expected_calibration_error']['value']:.3f}"
        for corpus, report in reports.items()
    ]
    return f"On corpora never heard the calibration error is larger: {', '.join(errors)}."


def write(runs: Path) -> None:
    egemaps = read(runs / "egemaps.json") if (runs / "egemaps.json").exists() else None
    report = read(runs / "mini" / "test" / "report.json")
    unheard = {corpus: read(runs / f"without_{corpus}" / "test" / "report.json") for corpus in CORPORA}
    parts = {
        "within": within(report, egemaps),
        "left_out": left_out(unheard, egemaps),
        "left_out_test": left_out_test(runs),
        "robustness": robustness(runs / "mini"),
        "recalls": recalls(report),
        "calibration": f"{calibration(report)} {calibration_elsewhere(unheard)}",
    }
    card = Template((HERE / "card.md").read_text(encoding="utf-8")).substitute(parts)
    (runs / "mini" / "model" / "README.md").write_text(card, encoding="utf-8")
    alone = read(runs / "emodb" / "test" / "report.json")
    elsewhere = {name: read(runs / "emodb" / name / "report.json") for name in ("ravdess", "nemo")}
    parts = {
        "uar": words(alone["overall"]["uar"]),
        "clips": f"{alone['speakers']} speakers, {alone['scored']} clips",
        "ravdess": words(elsewhere["ravdess"]["overall"]["uar"]),
        "nemo": words(elsewhere["nemo"]["overall"]["uar"]),
        "robustness": robustness(runs / "emodb"),
        "calibration": f"{calibration(alone)} {calibration_elsewhere(elsewhere)}",
    }
    card = Template((HERE / "card_emodb.md").read_text(encoding="utf-8")).substitute(parts)
    (runs / "emodb" / "model" / "README.md").write_text(card, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    write(parser.parse_args().runs)


if __name__ == "__main__":
    main()
