"""Words that options of the command line and arguments of Python choose among, each list in one place."""

from __future__ import annotations

from typing import Literal

VadMethod = Literal["silero", "energy", "none"]
"""Ways to find speech; ``none`` takes all of a recording for it."""

AdaptedBy = Literal["auto", "speaker", "recording"]
"""Clips that are adapted together; ``auto`` is by speaker where that is known."""

PartsEngine = Literal["local", "ray"]
"""Places where the parts of a job are predicted."""

PartFormat = Literal["parquet", "csv", "jsonl"]
"""Formats of the tables of a job."""

SampleEncoding = Literal["pcm16", "float32", "mulaw", "alaw"]
"""Encodings of samples without a header."""

Precision = Literal["fp32", "bf16", "int8"]
"""Precisions of the products of a prediction."""

ExportFormat = Literal["onnx", "hf", "peft"]
"""Forms of an export: a graph, a folder of transformers, or an adapter folder of PEFT."""

ExportPrecision = Literal["fp32", "int8"]
"""Precisions of the weights of an export."""
