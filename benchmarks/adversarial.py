"""Attacks on our own models on RAVDESS and EmoDB-4, and what training against them costs: tables and a picture.

    python benchmarks/adversarial.py RAVDESS EMODB4 WHISPER_TINY_EN RUNS [--clips 64] [--slow-clips 16] [--epochs 5]

Every run is an `emotune` command on one thread; what is finished is kept, so the work can be interrupted. Writes
RUNS/adversarial.md and RUNS/adversarial.png.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from matplotlib.figure import Figure

BOUNDED = [
    "random_sign:snr_db=30",
    *(f"fgsm:snr_db={snr_db}" for snr_db in (50, 40, 30)),
    *(f"pgd:snr_db={snr_db},steps=5" for snr_db in (50, 40, 30)),
]
MINIMAL = [
    *("fgsm:domain=log_mel,epsilon=0.025", "bim:domain=log_mel,epsilon=0.025,steps=5"),
    *("deepfool", "cw_l2", "cw_linf", "jsma", "jsma:domain=log_mel", "sparse", "hop_skip_jump"),
]
SPEAKERS = {"train": ["03", "08", "09", "10"], "development": ["11", "12"], "test": ["13", "14", "15", "16"]}
SPLITS = f"data.splits={json.dumps({split: {'speaker': speakers} for split, speakers in SPEAKERS.items()})}"
HARDENED = "train.adversarial={attack: fgsm, snr_db: 40, share: 0.5}"


def models(options: argparse.Namespace) -> dict[str, list[str]]:
    """Run -> the command that trains it."""
    encoder = f"model.backbone.checkpoint={options.encoder}"
    ravdess, emodb = f"data.root={options.ravdess}", f"data.root={options.emodb}"
    tuned = ["train", "ravdess/whisper_tiny", ravdess, encoder, f"train.epochs={options.epochs}"]
    return {
        "ravdess-probe": ["probe", "ravdess/whisper_tiny", ravdess, encoder],
        "ravdess-tuned": tuned,
        "ravdess-hardened": [*tuned, HARDENED],
        "emodb-probe": ["probe", "emodb/whisper_tiny_probe", emodb, encoder, "probe.leave_out=null", SPLITS],
    }


def emotune(*arguments: object) -> None:
    threads = {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "emotune", *map(str, arguments)], check=True, env=os.environ | threads)


def audit(run: Path, name: str, attacks: list[str], clips: int) -> dict:
    """The figures of an audit, made where they are not there yet."""
    folder = run.with_name(f"{run.name}-{name}")
    if not (folder / "adversarial.json").exists():
        asked = [word for attack in attacks for word in ("--attack", attack)]
        emotune("evaluate", run, "--adversarial", *asked, "--attack-clips", clips, "-o", folder)
    return json.loads((folder / "adversarial.json").read_text(encoding="utf-8"))


def scored(score: dict) -> str:
    low, high = score["low"], score["high"]
    return f"{score['value']:.3f}" + ("" if low is None or high is None else f" [{low:.3f}, {high:.3f}]")


def table(found: dict[str, dict]) -> list[str]:
    """One row an attack, one column a model: UAR with its interval, women and men apart."""
    lines = ["| attack | " + " | ".join(found) + " |", "|---|" + "---|" * len(found)]

    def cell(effect: dict) -> str:
        genders = effect.get("by_gender") or {}
        apart = ", ".join(f"{name[0]} {own['scores']['uar']['value']:.2f}" for name, own in genders.items())
        return scored(effect["scores"]["uar"]) + (f" ({apart})" if apart else "")

    clean = [cell(own["clean"]) for own in found.values()]
    lines.append("| none | " + " | ".join(clean) + " |")
    for slug in next(iter(found.values()))["attacks"]:
        effects = [own["attacks"].get(slug) for own in found.values()]
        lines.append(f"| {slug} | " + " | ".join(cell(own) if own else "" for own in effects) + " |")
    return lines


def sizes(found: dict[str, dict]) -> list[str]:
    """How far clips were changed, and the time."""
    lines = [
        "| model | attack | dB under the speech (median) | largest | exposed | queries | s a clip |",
        "|---|" + "---|" * 6,
    ]
    for model, own in found.items():
        for slug, effect in own["attacks"].items():
            size = effect["size"]
            ratio = "" if size["snr_db"] is None else f"{size['snr_db']:.1f}"
            exposed = "" if size["exposed"] is None else f"{size['exposed'] * 100:.0f} %"
            told = [ratio, f"{size['largest']:.5f}", exposed, f"{size['queries']:.0f}", f"{size['seconds']:.2f}"]
            lines.append(f"| {model} | {slug} | " + " | ".join(told) + " |")
    return lines


def draw(found: dict[str, dict], path: Path) -> None:
    """UAR by the level of the change, one panel an attack, one line a model."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    levels = (50, 40, 30)
    for axes, attack in zip(figure.subplots(1, 2, sharey=True), ("fgsm", "pgd"), strict=True):
        for number, (model, own) in enumerate(found.items()):
            steps = "-steps=5" if attack == "pgd" else ""
            effects = [own["attacks"][f"{attack}-snr_db={level}{steps}"]["scores"]["uar"] for level in levels]
            scores = [own["clean"]["scores"]["uar"], *effects]
            places = [place + 0.05 * (number - 1.5) for place in range(len(scores))]
            (line,) = axes.plot(places, [score["value"] for score in scores], "o-", label=model)
            for place, score in zip(places, scores, strict=True):
                if score["low"] is not None:
                    axes.plot([place, place], [score["low"], score["high"]], color=line.get_color(), alpha=0.5)
        axes.set_xticks(range(4), ["as it is", *(f"{level} dB" for level in levels)])
        axes.set_xlabel(f"{attack}: level of the change under the speech")
        axes.set_ylim(0, 1)
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("UAR")
    figure.axes[1].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("ravdess", "emodb", "encoder", "runs"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--slow-clips", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    commands = models(options)
    for name, command in commands.items():
        run = options.runs / name
        if not run.is_dir() or "finished" not in json.loads((run / "provenance.json").read_text(encoding="utf-8")):
            emotune(*command, "-o", run)
    bounded = {name: audit(options.runs / name, "bounded", BOUNDED, options.clips) for name in commands}
    probes = [name for name in commands if name.endswith("probe")]
    minimal = {name: audit(options.runs / name, "minimal", MINIMAL, options.slow_clips) for name in probes}
    parts = [table(bounded), table(minimal), sizes(bounded), sizes(minimal)]
    (options.runs / "adversarial.md").write_text(
        "\n\n".join("\n".join(part) for part in parts) + "\n", encoding="utf-8"
    )
    draw(bounded, options.runs / "adversarial.png")


if __name__ == "__main__":
    main()
