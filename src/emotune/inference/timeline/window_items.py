"""Windows of recordings as items of their own: a row of a table for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from emotune import audio
from emotune.audio.voice_activity import RATE_HZ, speech_detector
from emotune.choices import VadMethod
from emotune.corpora.tables.clip_ids import segment_name
from emotune.errors import AudioError
from emotune.inference.items import Item
from emotune.inference.timeline.recording import POOL, check_windows, in_seconds, known_of_windows, least_samples
from emotune.inference.timeline.windows import WindowCutter, WindowRule, cut_windows
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress
from emotune.schema.predictions import Prediction, Predictions
from emotune.timelines.timeline import Track

if TYPE_CHECKING:
    from emotune.inference.predictor import Predictor

_NAMED = 20  # recordings without speech


def predict_windows(
    predictor: Predictor,
    items: Sequence[Item],
    rule: WindowRule,
    vad: VadMethod,
    listener: Listener,
    progress: Progress,
) -> Predictions:
    """Predicts a row for each window of recordings of any length.

    Raises:
        ConfigError: when the model takes no windows of the rule's length.
    """
    preprocessing = predictor.engine.preprocessing
    check_windows(rule, preprocessing)
    owners: list[str] = []
    without_speech: list[str] = []
    windows = window_items(items, rule, vad, least=least_samples(preprocessing), owners=owners, silent=without_speech)
    rows: dict[int, Prediction] = {}

    def recordings() -> Iterator[None]:
        begun: set[str] = set()
        for position, row in predictor.stream(windows, pool_items=POOL):
            rows[position] = row
            if owners[position] not in begun:
                begun.add(owners[position])
                yield

    for _ in progress(recordings(), total=len(items), title="predicting"):
        pass
    if without_speech:
        more = ", ..." if len(without_speech) > _NAMED else ""
        named = ", ".join(without_speech[:_NAMED])
        listener.say(f"warning: nobody speaks in {len(without_speech)} of {len(items)}: {named}{more}: no rows of them")
    return predictor.table(rows[position] for position in range(len(rows)))


def window_items(
    items: Iterable[Item], rule: WindowRule, vad: VadMethod, *, least: int = 0, owners: list[str], silent: list[str]
) -> Iterator[Item]:
    """Yields the windows of recordings, or of the segments of a table, with ``start_s`` and ``end_s`` in their ids.

    Args:
        items: recordings of any length; decoded block by block.
        rule, vad: windows and voice activity; with ``none`` they cover all of a recording.
        least: samples at 16 kHz that the model needs.
        owners: gets, for each item that is yielded, the id of the one that it comes from.
        silent: gets the ids of those in which nobody speaks.
    """
    for item in items:
        count = 0
        try:
            for own in _windows_of(item, rule, vad, least):
                count += 1
                owners.append(item.utterance_id)
                yield own
        except AudioError as error:
            owners.append(item.utterance_id)
            yield dataclasses.replace(item, error=str(error), extra={**item.extra, "start_s": None, "end_s": None})
        else:
            if not count:
                silent.append(item.utterance_id)


def _windows_of(item: Item, rule: WindowRule, vad: VadMethod, least: int) -> Iterator[Item]:
    if item.error is not None:
        raise AudioError(item.error)
    offset = round((item.start_s or 0.0) * RATE_HZ)
    known = known_of_windows(item)
    cutter = WindowCutter(rule, speech_detector(vad), least=least)
    with audio.blocks(item.source, [item.channel], start_s=item.start_s, end_s=item.end_s) as opened:
        for _, window in cut_windows(opened.blocks, {Track(): cutter}):
            start_s, end_s = in_seconds(offset + window.start), in_seconds(offset + window.end)
            yield Item(
                item.utterance_id + segment_name(start_s, end_s),
                (window.samples, RATE_HZ),
                extra={**item.extra, "start_s": start_s, "end_s": end_s},
                known=known,
            )
