"""Parity of an exported model with its source: on clips of many lengths, alone and beside others, and on a corpus."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emotune.audio import FloatArray
from emotune.evaluation import evaluate
from emotune.inference.engine import EngineOutput
from emotune.inference.onnx_engine import OnnxEngine
from emotune.inference.predictor import Predictor
from emotune.inference.torch_engine import TorchEngine
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest

CLIPS = 50
LONGEST_S = 12.0
_TOGETHER = 8  # clips of all lengths in one padded batch


@dataclass(frozen=True)
class Clips:
    """Clips to compare engines on: raw samples, each shape (samples,), and their conditions."""

    samples: Sequence[FloatArray]
    conditions: Sequence[Mapping[str, FloatArray]]
    made: bool
    """they are generated, not recorded"""


@dataclass(frozen=True)
class Parity:
    """Largest differences between a model and its export.

    Args:
        clips: compared.
        shortest_s: of the clips.
        longest_s: of the clips.
        generated: whether the clips are generated sounds.
        probabilities: largest difference of a probability; 0 without classes.
        dimensions: of a dimension on the unit scale; 0 without dimensions.
        batch: of a clip in a batch of very different lengths from the clip alone.
        heads: of ``answers_to`` from the whole graph, on its embeddings.
        scores: metric -> (source, export), on a manifest; empty without one.
    """

    clips: int
    shortest_s: float
    longest_s: float
    generated: bool
    probabilities: float
    dimensions: float
    batch: float
    heads: float
    scores: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])

    @property
    def largest(self) -> float:
        """The largest of the differences, NaN where an answer is not finite."""
        return float(np.max([self.probabilities, self.dimensions, self.batch, self.heads]))


def generated_clips(engine: TorchEngine, *, count: int = CLIPS) -> Clips:
    """Coloured noise under slow envelopes, at ever other levels and of ever other lengths, from the shortest up.

    Conditions take turns: known, known, unknown.
    """
    generator = np.random.default_rng(0)
    heard = engine.preprocessing
    longest = int(min(heard.max_duration_s, LONGEST_S) * heard.sampling_rate_hz)
    lengths = np.geomspace(heard.min_samples, longest, count).astype(int)
    samples = [_sound(int(length), generator) for length in lengths]
    model = engine.model
    widths = {} if model.joined is None else model.joined.widths
    conditions = [
        {name: _vector(width, generator, known=place % 3 < 2) for name, width in widths.items()}
        for place in range(count)
    ]
    return Clips(samples, conditions if widths else [], made=True)


def _sound(length: int, generator: np.random.Generator) -> FloatArray:
    noise = np.convolve(generator.standard_normal(length + 15), generator.standard_normal(16), mode="valid")
    time = np.arange(length) / 16000
    envelope = 0.6 + 0.4 * np.sin(2 * math.pi * generator.uniform(1, 6) * time + generator.uniform(0, 6))
    level = 10 ** generator.uniform(-3, -0.5)
    return (level * envelope * noise / max(float(np.abs(noise).max()), 1e-9)).astype(np.float32)


def _vector(width: int, generator: np.random.Generator, *, known: bool) -> FloatArray:
    if not known:
        return np.full(width, np.nan, dtype=np.float32)
    return generator.standard_normal(width).astype(np.float32)


def answers_of(engine: TorchEngine, clips: Clips) -> EngineOutput:
    """Source's answers to each clip alone, with the preprocessing that its export has inside."""
    rows = [
        engine.run([engine.preprocessing.finish(samples)], list(clips.conditions[place : place + 1]))
        for place, samples in enumerate(clips.samples)
    ]
    return EngineOutput(
        np.concatenate([row.probabilities for row in rows]),
        np.concatenate([row.dimensions for row in rows]),
        np.concatenate([row.embeddings for row in rows]),
    )


def compare(expected: EngineOutput, engine: OnnxEngine, clips: Clips) -> Parity:
    """Compares an export with what its source answered to the same clips, ``expected``."""
    alone = engine.run(clips.samples, clips.conditions)
    some = list(range(0, len(clips.samples), max(1, len(clips.samples) // _TOGETHER)))
    together = engine.run_padded(
        [clips.samples[place] for place in some],
        [clips.conditions[place] for place in some] if clips.conditions else (),
    )
    of_some = [engine.run_padded([clips.samples[place]], list(clips.conditions[place : place + 1])) for place in some]
    heads = engine.answers_to(alone.embeddings, clips.conditions)
    seconds = [len(samples) / engine.preprocessing.sampling_rate_hz for samples in clips.samples]
    return Parity(
        clips=len(clips.samples),
        shortest_s=min(seconds),
        longest_s=max(seconds),
        generated=clips.made,
        probabilities=_largest(alone.probabilities, expected.probabilities),
        dimensions=_largest(np.clip(alone.dimensions, 0, 1), np.clip(expected.dimensions, 0, 1)),
        batch=max(
            _largest(together.probabilities, np.concatenate([row.probabilities for row in of_some])),
            _largest(together.dimensions, np.concatenate([row.dimensions for row in of_some])),
        ),
        heads=max(_largest(heads.probabilities, alone.probabilities), _largest(heads.dimensions, alone.dimensions)),
    )


def _largest(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    return float(np.abs(one - other).max()) if one.size else 0.0


def scores_of(
    source: Predictor, exported: Predictor, manifest: Manifest, *, progress: Progress = silent
) -> dict[str, tuple[float, float]]:
    """Metrics of the source and of its export on a manifest: UAR and macro-F1 of classes, CCC of dimensions.

    Raises:
        EmotuneError: as ``evaluate`` does, such as for a manifest whose classes the model does not know.
    """
    found: list[dict[str, float]] = []
    for predictor in (source, exported):
        evaluation = evaluate(manifest, predictor.predict_manifest(manifest, progress=progress), resamples=0)
        figures = {name: evaluation.overall[name].value for name in ("uar", "macro_f1") if name in evaluation.overall}
        found.append(figures | {f"ccc {scored.name}": scored.ccc.value for scored in evaluation.dimensions})
    return {name: (value, found[1][name]) for name, value in found[0].items()}
