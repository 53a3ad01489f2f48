"""Card of a model for the Hugging Face Hub: metadata in front, complete or refused, and figures of the test split."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from emotune.errors import ConfigError, ModelError
from emotune.io.hub import CARD, PREFIX
from emotune.io.tables import read_json
from emotune.models.folder import CONFIG, PREPROCESSOR, WEIGHTS, digest_of
from emotune.schema.manifest import Manifest
from emotune.schema.run_folder import RunFolder

_TASK = "audio-classification"
_REPORT = "report.json"
_ON_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_FIGURES = re.compile(r"^## Figures\n(?:.*\n)*?(?=^## |\Z)", re.MULTILINE)
_FIGURES_ON_TEST = re.compile(r"^## Figures on test\n(?:.*\n)*?(?=^## |\Z)", re.MULTILINE)
"""which are those that come in place of the section Figures"""
_FOLDERS = re.compile(r"(?<![\w.:/])(?:~|[A-Za-z]:)?(?:[\\/][\w.-]+){2,}")


@dataclass(frozen=True)
class StatedMetadata:
    """Metadata that a user states where a run does not hold it.

    Args:
        licence: as the Hub names it, such as ``cc-by-4.0``.
        base_model: ``owner/name`` of the encoder.
        datasets: names of the corpora.
        tags: beside those that every model of emotune has.
    """

    licence: str | None = None
    base_model: str | None = None
    datasets: Sequence[str] = ()
    tags: Sequence[str] = ()


def hub_card(run: RunFolder, repository: str, stated: StatedMetadata) -> str:
    """The card with complete metadata.

    Raises:
        ConfigError: naming all metadata that is missing, each with its option.
        ModelError: where the figures are those of another model.
    """
    report = _test_report(run)
    metadata = _metadata(run, repository, stated, report)
    body = _FRONT.sub("", (run.model / CARD).read_text(encoding="utf-8"))
    body = _FIGURES.sub(lambda _: _figures(report), body, count=1).replace("this/folder", f"hf:{repository}")
    body = _FIGURES_ON_TEST.sub("", body)
    body = _FOLDERS.sub(lambda found: Path(found[0].replace("\\", "/")).name, body)  # nobody's folders
    return f"---\n{yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)}---\n{body}"


def _test_report(run: RunFolder) -> Mapping[str, Any] | None:
    """The figures of the test split, None where there are none yet."""
    path = run.results("test") / _REPORT
    if not path.is_file():
        return None
    report = read_json(path, "The report of the test split")
    weights = [run.model / name for name in (CONFIG, PREPROCESSOR, WEIGHTS)]
    if report.get("information", {}).get("model fingerprint") != digest_of(weights):
        raise ModelError(
            f"{path} has the figures of another model than the one in {run.model}, which was changed since. Evaluate it"
            " again: emotune evaluate " + str(run.path)
        )
    return report


def _metadata(
    run: RunFolder,
    repository: str,
    stated: StatedMetadata,
    report: Mapping[str, Any] | None,
) -> dict[str, Any]:
    model = _model_section(run)
    base = stated.base_model or _base_of(model)
    datasets = list(stated.datasets) or _known(Manifest.read(run.manifest).information.get("corpus"))
    drawn = _start_of(model) is None
    missing = []
    if stated.licence is None:
        missing.append("licence (--licence, as the Hub names it, such as cc-by-4.0)")
    if base is None and not drawn:
        missing.append("base_model (--base-model owner/name of the encoder)")
    if not datasets:
        missing.append("datasets (--dataset NAME)")
    if missing:
        raise ConfigError(f"The card of {run.path} lacks {'; '.join(missing)}.")
    if base is not None and not _ON_HUB.fullmatch(base):
        raise ConfigError(f"--base-model: '{base}' is no owner/name on the Hugging Face Hub.")
    encoder = model["backbone"].get("name")
    tags = ["emotune", "speech-emotion-recognition", *([encoder] if encoder else []), *stated.tags]
    metadata: dict[str, Any] = {
        "license": stated.licence,
        "library_name": "emotune",
        "pipeline_tag": _TASK,
        "tags": list(dict.fromkeys(tags)),
        "datasets": datasets,
    }
    metadata |= {"base_model": base} if base is not None else {}
    if report is not None:
        metadata["metrics"] = list(report["overall"])
        metadata["model-index"] = [{"name": repository.partition("/")[2], "results": [_result(report, datasets)]}]
    return metadata


def _model_section(run: RunFolder) -> Mapping[str, Any]:
    """The section ``model`` of a run's recipe, with its ``backbone``.

    Raises:
        ModelError: for a recipe that is not there or damaged.
    """
    try:
        model = yaml.safe_load(run.recipe.read_text(encoding="utf-8"))["model"]
        return {**model, "backbone": dict(model.get("backbone") or {})}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{run.recipe} is missing or damaged ({type(error).__name__}): copy the run again.") from error


def _start_of(model: Mapping[str, Any]) -> str | None:
    """The checkpoint or model that training started from; None for weights that were drawn."""
    named = model.get("start") or model["backbone"].get("checkpoint")
    return None if named is None else str(named)


def _base_of(model: Mapping[str, Any]) -> str | None:
    """The encoder's name on the Hub; None where it came from a folder, as far as one can tell."""
    name = _start_of(model) or ""
    plain = name.removeprefix(PREFIX).partition("@")[0]
    on_hub = name.startswith(PREFIX) or not Path(name).exists()
    return plain if on_hub and _ON_HUB.fullmatch(plain) else None


def _known(corpus: object) -> list[str]:
    return [name.strip() for name in str(corpus or "").split(",") if name.strip() not in ("", "table", "unknown")]


def _result(report: Mapping[str, Any], datasets: Sequence[str]) -> dict[str, Any]:
    """Figures of the test split, each with its interval, in the Hub's form."""
    name = ", ".join(datasets)
    return {
        "task": {"type": _TASK, "name": "Speech emotion recognition"},
        "dataset": {"type": datasets[0], "name": name, "split": "test"},
        "metrics": [
            {"type": metric, "name": _in_words(metric, figure, report), "value": figure["value"], "args": figure}
            for metric, figure in report["overall"].items()
            if figure["value"] is not None
        ],
    }


def _in_words(metric: str, figure: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    low, high = figure.get("low"), figure.get("high")
    if low is None or high is None:
        return metric
    level = float(report["interval"]["level"])
    return f"{metric}, {level:.0%} over speakers [{low:.3f}, {high:.3f}]"


def _figures(report: Mapping[str, Any] | None) -> str:
    """The section of figures: those of the test split alone, once there are any."""
    if report is None:
        return "## Figures\n- none on a test split yet; those on development chose the model, and are left out\n\n"
    measured = f"{report['scored']} utterances, {report['speakers']} speakers of the test split"
    lines = [
        f"- {_in_words(metric, figure, report)}: {figure['value']:.3f} ({measured})"
        for metric, figure in report["overall"].items()
        if figure["value"] is not None
    ]
    return "\n".join(["## Figures", *lines]) + "\n\n"
