"""Prediction of files, folders and tables to one table."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.conditions.origins import unknown_though_asked
from emotune.errors import ConfigError
from emotune.inference.adaptation.adaptation import adaptation_to, classes_of
from emotune.inference.adaptation.groups import check_way, groups_of
from emotune.inference.inputs import Inputs
from emotune.inference.loading import load_and_say
from emotune.inference.long_clips import LongClips
from emotune.io.tables import check_output
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent
from emotune.schema.predictions import Predictions

if TYPE_CHECKING:
    from emotune.choices import VadMethod
    from emotune.inference.timeline.windows import WindowRule

SHOWN = 20


@dataclass(frozen=True)
class PredictedFiles:
    """Outcome of a prediction, in memory or in parts.

    Args:
        rows: predicted.
        failed: rows with an error.
        errors: the first of these.
        warned: rows with a warning, since nothing can be heard in their clips.
        warnings: the first of these, by utterance_id.
        predictions: the table; None where it lies in parts.
        parts: tables in the folder; 0 for a table in one.
    """

    rows: int
    failed: int
    errors: Sequence[str]
    warned: int
    warnings: Mapping[str, str]
    predictions: Predictions | None = None
    parts: int = 0

    @classmethod
    def of(cls, predictions: Predictions) -> PredictedFiles:
        """Outcome that is in memory."""
        return cls(
            len(predictions),
            len(predictions.failed),
            [row.error or "" for row in predictions.failed[:SHOWN]],
            len(predictions.warnings),
            dict(islice(predictions.warnings.items(), SHOWN)),
            predictions,
        )


def predict_files(
    model: str,
    inputs: Inputs,
    output: Path | None = None,
    *,
    adapt: str | None = None,
    windows: WindowRule | None = None,
    vad: VadMethod = "none",
    spreadsheet_safe: bool = False,
    listener: Listener | None = None,
    progress: Progress = silent,
    **loading: Any,
) -> PredictedFiles:
    """Predicts files and writes the table of predictions; a bad recording is a row with its error.

    Args:
        model: as ``emotune.load`` has it.
        inputs: to be predicted.
        output: the table to write; none when None.
        adapt: ``auto``, ``speaker`` or ``recording``: the answers are adapted to these files, without labels, see
            ``adaptation_to``; None = plain answers.
        windows: a row for each window of a recording of any length; None = a row for the recording.
        vad: with windows, over what it finds; ``none`` = over all of the recording.
        spreadsheet_safe: see ``emotune.io.tables.write_rows``.
        listener: told of the columns taken, of files passed over, and of what the model has to do without.
        progress: shows how far the work is.
        loading: options of ``emotune.load``.

    Raises:
        EmotuneError: for inputs, a model or an output that cannot be used.
    """
    listener = listener or Listener()
    if adapt is not None:
        check_way(adapt)
    inputs.say_columns(listener)
    if output is not None:
        check_output(output, inputs=inputs.paths, spreadsheet_safe=spreadsheet_safe)
    items = inputs.listed(listener)
    if adapt is not None:
        if windows is not None:
            raise ConfigError("Windows are not adapted yet: leave out --adapt, or --window, --hop and --vad.")
        groups_of(items, adapt)  # an unknown speaker is told before the work
    predictor = load_and_say(model, listener, loading)
    if adapt is not None:
        if predictor.adaptation is not None:
            raise ConfigError(f"{model} is adapted already; leave out --adapt, or name the model that it was made of.")
        classes_of(predictor.label_space)
    precision = loading.get("precision", "fp32")
    kept: Mapping[str, Any] | None = None if precision == "fp32" else {"name": precision}
    if windows is None and precision != "fp32":
        from emotune.inference.agreement import agreement_with_exact  # noqa: PLC0415 (most predictions are exact)

        agreement = agreement_with_exact(predictor, model, items, loading, listener)
        kept = kept if agreement is None else agreement.to_json()
    if windows is None:
        long = LongClips(predictor.training_duration_s)
        predictions = predictor.predict_items(items, progress=progress, long=long)
        say_long(long, listener)
    else:
        from emotune.inference.timeline.window_items import predict_windows  # noqa: PLC0415 (most commands cut none)

        predictions = predict_windows(predictor, items, windows, vad, listener, progress)
    if adapt is not None:
        adaptation = adaptation_to(predictions, items, by=adapt)
        predictions = adaptation.answers(predictions, items, answered_from=predictor.answered_from)
        listener.say(adaptation.in_words())
    if kept is not None:
        predictions = dataclasses.replace(predictions, precision=kept)
    if output is not None:
        predictions.write(output, spreadsheet_safe=spreadsheet_safe)
    say_unknown(loading, [predictions], listener)
    return PredictedFiles.of(predictions)


def say_long(long: LongClips, listener: Listener) -> None:
    """Says of clips that are longer than the model knows."""
    for note in long.notes:
        listener.say(f"warning: {note}")


def say_unknown(
    loading: Mapping[str, Any], tables: Sequence[Predictions] | Iterator[Predictions], listener: Listener
) -> None:
    """Says of which conditions that were asked for nothing was known."""
    used = (row.conditions_used for table in tables for row in table)
    for sentence in unknown_though_asked(loading.get("conditions") or {}, used):
        listener.say(f"warning: {sentence}")
