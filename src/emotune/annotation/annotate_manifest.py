"""Annotation of a manifest file, to another one and to a table of predictions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from emotune.annotation.annotate import Annotated, Annotating, annotate
from emotune.annotation.engines import engine_named
from emotune.annotation.engines.engine import EngineOptions
from emotune.annotation.parsing import UNPARSED
from emotune.annotation.speech_codes import Codebook, Codes
from emotune.errors import ConfigError
from emotune.evaluation.raters import SOURCE
from emotune.io.tables import check_output
from emotune.runtime.progress import Progress, silent
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.votes.consensus import plurality


def annotate_manifest(
    manifest_path: Path,
    output: Path,
    llm: str,
    engine_options: EngineOptions,
    options: Annotating | None = None,
    *,
    split: str | None = None,
    codebook: Path | None = None,
    label: bool = False,
    predictions: Path | None = None,
    cache: Path | None = None,
    spreadsheet_safe: bool = False,
    progress: Progress = silent,
) -> Annotated:
    """Annotates a manifest and writes it with the votes of the rater.

    Args:
        manifest_path: to read.
        output: the manifest to write.
        llm: as ``engine_named`` has it.
        engine_options: of the engine.
        options: how it is asked.
        split: that is annotated; None = all.
        codebook: for the level codes.
        label: write the most voted class as the emotion of utterances without one.
        predictions: a table of predictions to write too.
        cache: folder of answers.
        spreadsheet_safe: see ``emotune.io.tables.write_rows``.
        progress: shows how far the work is.

    Raises:
        EmotuneError: for inputs, an engine or outputs that cannot be used, and as ``annotate`` has it.
    """
    check_output(output, inputs=[manifest_path], spreadsheet_safe=spreadsheet_safe)
    if predictions is not None:
        check_output(predictions, inputs=[manifest_path])
        if predictions.resolve() == output.resolve():
            raise ConfigError(f"{predictions} is the manifest to write: give --predictions another name.")
    manifest = Manifest.read(manifest_path)
    codes = None if codebook is None else Codes(Codebook.read(codebook))
    engine = engine_named(llm, engine_options)
    try:
        found = annotate(manifest, engine, options, split=split, codes=codes, cache=cache, progress=progress)
    finally:
        engine.close()
    if label:
        found = dataclasses.replace(found, manifest=labelled(found))
    found.manifest.write(output, spreadsheet_safe=spreadsheet_safe)
    if predictions is not None:
        asked = manifest if split is None else manifest.split(split)
        predictions_of(found, asked).write(predictions)
    return found


def labelled(found: Annotated) -> Manifest:
    """Takes the most voted class as the emotion of utterances without one, and says whose it is; ties stay without."""
    classes = found.manifest.label_space.classes

    def label_of(utterance_id: str) -> str | None:
        counts = found.counts.get(utterance_id, {})
        return plurality({name: n for name, n in counts.items() if name != UNPARSED}, classes)

    rows = [
        dataclasses.replace(u, emotion=label, extra={**u.extra, SOURCE: found.rater})
        if u.emotion is None and (label := label_of(u.utterance_id)) is not None
        else u
        for u in found.manifest
    ]
    return found.manifest.replace_utterances(rows)


def predictions_of(found: Annotated, asked: Manifest) -> Predictions:
    """Shares of the parsed answers as a table of predictions; an utterance without one is a row with its error.

    Args:
        found: the annotation.
        asked: the utterances that it was of.
    """
    classes = asked.label_space.classes
    rows = []
    for u in asked:
        counts = found.counts.get(u.utterance_id, {})
        understood = sum(number for name, number in counts.items() if name != UNPARSED)
        if understood:
            rows.append(Prediction(u.utterance_id, {name: counts.get(name, 0) / understood for name in classes}))
        else:
            error = found.errors.get(u.utterance_id) or f"{u.utterance_id}: no answer of {found.rater} names a class"
            rows.append(Prediction(u.utterance_id, error=error))
    space = LabelSpace(classes)
    return Predictions(tuple(rows), space, found.rater, asked.fingerprint())
