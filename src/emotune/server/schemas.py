"""Schemas of the answers in JSON, as OpenAPI shows them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from emotune.server.job import Status


class ScaleAnswer(BaseModel):
    """Ends of a dimension's scale."""

    low: float
    high: float


class PreprocessingAnswer(BaseModel):
    """Sound that a model hears."""

    sampling_rate_hz: int


class ModelAnswer(BaseModel):
    """Model that answered."""

    name: str
    fingerprint: str | None = Field(description="SHA-256 of its files: the same answers come from the same.")
    licence: str | None = Field(description="As its card states it.")
    classes: list[str]
    dimensions: dict[str, ScaleAnswer]
    conditions: list[str] = Field(description="What it is given beside the sound.")
    max_duration_s: float = Field(description="Longest clip of /v1/predict.")
    preprocessing: PreprocessingAnswer


class ListedModel(ModelAnswer):
    """Model of the list."""

    default: bool
    threshold: dict[str, float] = Field(description="Coverage -> least confidence of an answer; none where not known.")


class ModelsAnswer(BaseModel):
    """Answer of ``/v1/models``."""

    models: list[ListedModel]


class Emotion(BaseModel):
    """Emotion of a recording or a part of it."""

    emotion: str | None = Field(description="The most probable class, or 'uncertain'; null without classes.")
    confidence: float | None = Field(description="The largest probability.")
    uncertain: bool
    probabilities: dict[str, float]
    dimensions: dict[str, float] = Field(description="Values on the scales of the model.")


class PredictionAnswer(Emotion):
    """Answer about a recording, or about one of its channels."""

    file: str
    channel: int | None
    conditions_used: str | None
    warning: str | None = Field(description="Why nothing can be heard in it; the answer then means nothing.")
    error: str | None = Field(description="Why there is no answer.")


class PredictAnswer(BaseModel):
    """Answer of ``/v1/predict``."""

    model: ModelAnswer
    predictions: list[PredictionAnswer]


class SegmentAnswer(Emotion):
    """Speech with one answer."""

    start_ms: int
    end_ms: int
    channel: int | None
    speaker: str | None


class SilenceAnswer(BaseModel):
    """Time in which nobody speaks."""

    start_ms: int
    end_ms: int
    channel: int | None
    emotion: Literal["no speech"]


class UnansweredAnswer(BaseModel):
    """Window of speech that could not be answered."""

    start_ms: int
    end_ms: int
    channel: int | None
    speaker: str | None
    error: str


class VoiceAnswer(BaseModel):
    """Summary of a voice."""

    channel: int | None
    speaker: str | None
    speech_s: float
    silence_s: float
    shares: dict[str, float] = Field(description="Class -> share of the speech that was answered so.")
    uncertain: float = Field(description="Share of the speech.")
    changes: int
    changes_a_minute: float | None
    most: str | None
    dimensions: dict[str, float | None]


class SummaryAnswer(BaseModel):
    """Summary of a recording."""

    voices: list[VoiceAnswer]


class RecordingAnswer(BaseModel):
    """Timeline of a recording."""

    file: str
    duration_s: float
    channels: list[int | None]
    segments: list[SegmentAnswer]
    silences: list[SilenceAnswer]
    errors: list[UnansweredAnswer] = Field(description="Windows of speech without an answer; none of them is silence.")
    summary: SummaryAnswer
    error: str | None


class TimelineAnswer(BaseModel):
    """Answer of ``/v1/timeline``, and the file that ``emotune timeline -o FILE.json`` writes."""

    schema_: str = Field(alias="schema", description="Kind of document, and the number of its form.")
    model: ModelAnswer
    timelines: list[RecordingAnswer]
    settings: dict[str, Any]


class FieldFault(BaseModel):
    """Place of a fault."""

    field: str
    message: str


class ProblemAnswer(BaseModel):
    """Error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldFault] = Field(default_factory=list[FieldFault])


class JobAnswer(BaseModel):
    """Job."""

    id: str
    kind: Literal["timeline", "predict"]
    model: str
    status: Status
    progress: float = Field(ge=0, le=1)
    created: str
    expires: str | None
    error: ProblemAnswer | None


class ReadyAnswer(BaseModel):
    """Answer of ``/ready``."""

    status: Literal["ready"]
    models: list[str]
