"""Parts that every kind of run shares: its folder, its provenance, and how it ends with a scored model."""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

import yaml
from pydantic import ValidationError

import emotune
from emotune.audio.preprocessing import Preprocessing
from emotune.config.reading import dump_recipe
from emotune.config.recipe import Recipe
from emotune.config.sequences import SequenceRecipe
from emotune.errors import ConfigError, CorpusError, ModelError
from emotune.evaluation import Evaluation, scores
from emotune.evaluation.earlier_training import (
    EARLIER,
    EarlierTraining,
    earlier_in,
)
from emotune.evaluation.speaker_dependence import speaker_dependence
from emotune.inference.conditioner import Conditioner
from emotune.inference.predictor import Predictor
from emotune.inference.torch_engine import TorchEngine
from emotune.io.locks import LOCK, alone_in
from emotune.io.tables import to_json, write_text
from emotune.models.card import model_card
from emotune.models.emotion_model import EmotionModel
from emotune.models.store import fingerprint_of, load_model, save_config, save_model
from emotune.report.card_figures import in_card_words
from emotune.report.score_run import Remarks, score_run
from emotune.report.seen_before import SeenBefore
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.run_folder import RunFolder
from emotune.schema.speakers import known_voices
from emotune.schema.splits import DEVELOPMENT, TRAIN
from emotune.training.build import best_device
from emotune.training.calibrate import calibrated, with_calibration
from emotune.training.clip_lengths import training_duration_s
from emotune.training.heard_before import EarlierModel, warnings_of_earlier
from emotune.training.licences import inherited_licences
from emotune.training.loop import processes
from emotune.training.prior import training_prior
from emotune.training.recipe_changes import changes_of_work
from emotune.training.teacher import model_name

_VERSIONS = ("emotune", "python", "packages")
_PACKAGES = ("torch", "numpy", "scikit-learn", "scipy", "soundfile", "soxr")

FEW_CHOOSERS = 3
"""Of so few development speakers, or fewer, a choice may tell more than of speech."""


@dataclass(frozen=True)
class Beginning:
    """Beginning of a run, now or before an interruption, and the versions that it was worked on under since then."""

    at: float
    earlier_versions: tuple[Mapping[str, Any], ...] = ()


@contextmanager
def opened(run: RunFolder, recipe: Recipe | SequenceRecipe, kind: str) -> Iterator[Beginning]:
    """Keeps other runs out of a folder; yields how this one began.

    Raises:
        ConfigError: when another run is at work in it, or it holds another one.
    """
    if not processes.is_first():
        yield _began(run, recipe, kind)
        return
    with alone_in(run.path, others="training into"):
        yield _began(run, recipe, kind)


@contextmanager
def told_of_divergence(rates: str) -> Iterator[None]:
    """Says what to do where a loss or a gradient is no longer finite: to lower learning rates, named by their keys.

    Raises:
        ModelError: in place of the loop's error.
    """
    try:
        yield
    except FloatingPointError as error:
        raise ModelError(f"Training stopped: {error}. Lower {rates}.") from error


def _began(run: RunFolder, recipe: Recipe | SequenceRecipe, kind: str) -> Beginning:
    if run.finished:
        raise ConfigError(f"{run.path} already holds a finished run; choose another folder with -o, or remove it.")
    if run.recipe.exists():
        changed = changes_of_work(_recipe_of(run, type(recipe)), recipe)
        if changed:
            raise ConfigError(
                f"{run.path} holds an unfinished run of another recipe ({'; '.join(changed[:3])}); choose another"
                " folder with -o."
            )
    elif run.path.is_dir() and any(path.name != LOCK for path in run.path.iterdir()):
        raise ConfigError(f"{run.path} exists and is not a run folder; choose another with -o.")
    if not run.provenance.exists():
        return Beginning(time.time())
    earlier = run.information()
    if earlier.get("kind") != kind:
        raise ConfigError(f"{run.path} holds an unfinished run ({earlier.get('kind')}), not {kind}; choose another -o.")
    try:
        at = datetime.fromisoformat(earlier["began"]).timestamp()
        before = [dict(versions) for versions in earlier.get("earlier_versions", [])]
        last = {name: earlier[name] for name in _VERSIONS}
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{run.provenance} is damaged ({error!r}); remove that run, or choose another -o.") from error
    return Beginning(at, tuple(before if last == versions_here() else [*before, last]))


def _recipe_of(run: RunFolder, kind: type[Recipe | SequenceRecipe]) -> Recipe | SequenceRecipe:
    try:
        return kind.model_validate(yaml.safe_load(run.recipe.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        raise ConfigError(f"{run.recipe} cannot be read. Remove that run, or choose another folder with -o.") from error


def versions_here() -> dict[str, Any]:
    """Versions that the bits of a run may depend on."""
    packages = {name: version(name) for name in _PACKAGES}
    return {"emotune": emotune.__version__, "python": platform.python_version(), "packages": packages}


def _changed_versions(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Says which versions differ, such as ``torch 2.12.0 before, 2.13.0 now``."""
    flat = [{**{name: one.get(name) for name in ("emotune", "python")}, **one["packages"]} for one in (before, now)]
    return ", ".join(
        f"{name} {old} before, {flat[1].get(name)} now" for name, old in flat[0].items() if old != flat[1].get(name)
    )


def provenance_of(
    recipe: Recipe | SequenceRecipe,
    manifest: Manifest,
    began: Beginning,
    *,
    kind: str,
    earlier: Sequence[EarlierModel] = (),
    **more: Any,
) -> dict[str, Any]:
    """Origin of a run: recipe, encoder, data, versions and state of the code, with ``more`` beside them.

    ``earlier`` are the trained models that it learns from; each fold of a protocol names its own.
    """
    return {
        "recipe": recipe.name,
        "description": recipe.description,
        "notice": recipe.notice,
        "seed": recipe.seed,
        "kind": kind,
        **_what_hears(recipe, kind),
        **versions_here(),
        "platform": platform.platform(),
        **({"earlier_versions": list(began.earlier_versions)} if began.earlier_versions else {}),
        **_git_state(),
        "manifest_fingerprint": manifest.fingerprint(),
        "class_mapping": dict(manifest.information.get("class_mapping", {})),
        "classes_read": classes_read(manifest),
        **{name: dict(counted) for name in ("left_out", "lengths") if (counted := manifest.information.get(name))},
        "began": datetime.fromtimestamp(began.at, UTC).isoformat(timespec="seconds"),
        **({EARLIER: [model.training.to_json() for model in earlier]} if earlier else {}),
        **more,
    }


def _what_hears(recipe: Recipe | SequenceRecipe, kind: str) -> dict[str, Any]:
    """Encoder and pooling of a run; none of a baseline, whose recipe may name both."""
    if "baseline" in kind:
        return {"encoder": None}
    if isinstance(recipe, SequenceRecipe):
        return {"encoder": recipe.model.encoder}
    pooling = recipe.probe.pooling if kind.startswith("probe") else recipe.model.pooling
    return {
        "encoder": recipe.model.encoder,
        "pooling": pooling if isinstance(pooling, str) else pooling.name,
    }


def classes_read(manifest: Manifest) -> dict[str, str]:
    """Words of the corpus, as they are written there, -> the class that each became, where that is another word."""
    pairs = {(u.emotion_original, u.emotion) for u in manifest if u.emotion_original and u.emotion}
    return {original: name for original, name in sorted(pairs) if original != name}


def _git_state() -> dict[str, Any]:
    """Commit and cleanliness of the working folder's repository; empty where there is none."""
    try:
        ask = partial(subprocess.run, capture_output=True, text=True, check=True, timeout=10)
        commit = ask(["git", "rev-parse", "HEAD"]).stdout.strip()
        changed = bool(ask(["git", "status", "--porcelain"]).stdout.strip())
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"git_commit": commit, "git_changed": changed}


def write_start(
    run: RunFolder,
    recipe: Recipe,
    manifest: Manifest,
    provenance: Mapping[str, Any],
    listener: Listener,
    *,
    earlier: Sequence[EarlierModel] = (),
) -> None:
    """Writes what is known before the work begins, and says what happened to the corpus on the way in.

    What the models heard that it learns from is said and written too.

    Raises:
        ConfigError: when an interrupted run saw other data.
    """
    before = run.information() if run.provenance.exists() else {}
    if before.get("manifest_fingerprint") not in (None, manifest.fingerprint()):
        raise ConfigError(f"{run.path} holds an unfinished run on other data; choose another folder with -o.")
    if before and any(before[name] != provenance[name] for name in _VERSIONS):
        listener.say(
            f"warning: continued under other versions ({_changed_versions(before, provenance)}): the last bits may not"
            " be those of a run that was not interrupted"
        )
    for warning in manifest.information.get("warnings", []):
        listener.say(f"warning: {warning}")
    for change, count in manifest.information.get("class_mapping", {}).items():
        listener.say(f"classes mapped: {change}, {count} utterances")
    for what, count in manifest.information.get("consensus", {}).get("counts", {}).items():
        listener.say(f"votes: {count} utterances {what}")
    for reason, count in manifest.information.get("left_out", {}).items():
        listener.say(f"left out: {count} utterances {reason}")
    for what, count in manifest.information.get("lengths", {}).items():
        listener.say(f"lengths: {count} utterances {what}")
    if manifest.skipped:
        listener.say(
            f"skipped when the corpus was read: {len(manifest.skipped)}, listed in {run.manifest.name}.meta.json"
        )
    for warning in warnings_of_earlier([model.training for model in earlier], manifest):
        listener.say(f"warning: {warning}")
    write_text(run.recipe, dump_recipe(recipe))
    if heard := sorted({content for model in earlier for content in model.recordings}):
        write_text(run.heard_before, "\n".join(heard) + "\n")
    manifest.write(run.manifest)
    write_provenance(run, provenance)


def write_provenance(run: RunFolder, provenance: Mapping[str, Any]) -> None:
    """Writes the provenance of a run that has not ended."""
    write_text(run.provenance, to_json({**provenance, "finished": None}) + "\n")


def write_end(run: RunFolder, provenance: Mapping[str, Any]) -> None:
    """Writes the provenance of a run that has ended now."""
    finished = datetime.now(UTC)
    seconds = (finished - datetime.fromisoformat(provenance["began"])).total_seconds()
    ended = {"finished": finished.isoformat(timespec="seconds"), "seconds": round(seconds, 1)}
    write_text(run.provenance, to_json({**provenance, **ended}) + "\n")


def metric_of(manifest: Manifest, predictions: Predictions, *, metric: str) -> float:
    """One overall figure, such as ``uar``.

    Raises:
        CorpusError: when the manifest does not have what it needs.
    """
    found = scores(manifest, predictions)
    if metric not in found:
        raise CorpusError(f"train.metric: {metric} cannot be had of this manifest, only {', '.join(found)}.")
    return found[metric]


def few_choosers(development: Manifest, *, chose: str) -> list[str]:
    """Warns of a choice that rests on very few speakers.

    Args:
        development: the split that chose.
        chose: what was chosen, such as "Layer and regularisation".
    """
    speakers = len({(u.corpus, u.speaker) for u in development if u.speaker is not None})
    if not 0 < speakers <= FEW_CHOOSERS:
        return []
    who = "1 speaker" if speakers == 1 else f"{speakers} speakers"
    return [
        f"{chose}: chosen by {who} of development: with others the choice might have been another, and on new"
        " speakers it may be worse. More development speakers, or a protocol's folds, make it surer."
    ]


def finish_run(
    run: RunFolder,
    recipe: Recipe,
    model: EmotionModel,
    preprocessing: Preprocessing,
    manifest: Manifest,
    provenance: Mapping[str, Any],
    progress: Progress,
    *,
    conditioner: Conditioner | None = None,
    prior: Mapping[str, float] | None = None,
) -> Evaluation:
    """Saves the model, scores it on development as anyone would who loads it, and writes the card and the end.

    ``prior`` is class -> share that training taught; None = that of the recipe's losses.
    """
    prior = prior or _prior_of(recipe, model, manifest, str(provenance["kind"]))
    duration_s = training_duration_s(manifest.split(TRAIN), preprocessing)
    save_model(run.model, model, preprocessing, training_prior=prior, training_duration_s=duration_s)
    stored = load_model(run.model)
    engine = TorchEngine(stored.model.to(best_device()), stored.preprocessing, fingerprint=stored.fingerprint)
    development = manifest.split(DEVELOPMENT)
    predictor = Predictor(engine, batch_seconds=recipe.train.batch_seconds, conditioner=conditioner)
    predictions = predictor.predict_manifest(development, progress=progress)
    if recipe.train.calibrate:
        calibration = calibrated(development, predictions)
        save_config(run.model, model, calibration=calibration, training_prior=prior, training_duration_s=duration_s)
        predictions = with_calibration(predictions, calibration, fingerprint_of(run.model))
    write_provenance(run, provenance)  # which reports read
    chose = "Layer and regularisation" if provenance["kind"] == "probe" else "Epoch and settings"
    remarks = Remarks(notes=few_choosers(development, chose=chose))
    evaluation = score_run(run, development, predictions, name=DEVELOPMENT, remarks=remarks)
    write_text(run.model / "README.md", _card(recipe, model, manifest, provenance, evaluation))
    write_end(run, provenance)
    return evaluation


def _prior_of(recipe: Recipe, model: EmotionModel, manifest: Manifest, kind: str) -> dict[str, float]:
    """The shares of the classes that training taught; a probe weighs its classes alike."""
    if kind != "probe":
        return training_prior(recipe, model.label_space, manifest.split(TRAIN))
    return {name: 1 / len(model.label_space.classes) for name in model.label_space.classes}


def _card(
    recipe: Recipe, model: EmotionModel, manifest: Manifest, provenance: Mapping[str, Any], evaluation: Evaluation
) -> str:
    measured = f"{evaluation.scored} utterances, {evaluation.speakers} speakers"
    headline = {
        f"{name} on the development split, which chose epoch or layer, so optimistic ({measured})": (
            in_card_words(estimate)
        )
        for name, estimate in evaluation.overall.items()
    }
    development = manifest.split(DEVELOPMENT)
    trained_on = manifest.split(TRAIN)
    earlier = earlier_in(provenance)
    seen = SeenBefore.of(development, speaker_dependence(trained_on, development), earlier)
    stamp = seen.speaker_dependent
    notices = [*([recipe.notice] if recipe.notice else []), *seen.sentences]
    information = {
        **{name: str(manifest.information.get(name, "unknown")) for name in ("corpus", "reference")},
        "licence": inherited_licences(
            recipe,
            str(manifest.information.get("licence", "unknown")),
            provenance.get("teachers", ()),
            provenance.get("merged", ()),
        ),
        **{name: provenance[name] for name in ("encoder", "recipe", "kind", "seed", "manifest_fingerprint")},
        **({"merged": ", ".join(model_name(name) for name in recipe.model.merged)} if recipe.model.merged else {}),
        "speaker_dependent": stamp if isinstance(stamp, str) else str(stamp).lower(),
        "trained_on": f"{len(trained_on)} utterances, {len(known_voices(trained_on))} speakers",
        **{name: provenance[name] for name in ("pooling", "chosen", "classes_read") if provenance.get(name)},
    }
    return model_card(
        title=recipe.name,
        config=model.settings,
        information=information,
        scores=headline,
        notice=" ".join(notices) or None,
        licence=information["licence"],
        corpora=_corpora(manifest, earlier),
    )


def _corpora(manifest: Manifest, earlier: Sequence[EarlierTraining]) -> list[str]:
    """Names of the corpora that a model heard, and that those heard which it learnt from."""
    own = [*str(manifest.information.get("corpus", "")).split(","), *(u.corpus for u in manifest.split(TRAIN))]
    before = [name for one in earlier for name in (*one.corpora, *sorted({corpus or "" for corpus, _ in one.speakers}))]
    named = dict.fromkeys((name or "").strip() for name in (*own, *before))
    return [name for name in named if name not in ("", "table", "unknown")]
