"""Options of requests: what may stand in a query."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from emotune.audio.channels import Channels, channels_named
from emotune.choices import VadMethod
from emotune.errors import ConfigError
from emotune.inference.timeline.recording import TimelineRule
from emotune.inference.timeline.windows import window_rule

PredictionFormat = Literal["json", "csv", "jsonl"]
TimelineFormat = Literal["json", "csv", "jsonl", "rttm", "textgrid", "txt", "vtt", "eaf", "hume", "hume-batch"]
StreamEncoding = Literal["s16le", "f32le", "mulaw", "webm"]

Model = Annotated[str | None, Field(description="Name of the model; default the first of /v1/models.")]

Coverage = Annotated[
    float | None, Field(gt=0, le=1, description="Answer about this share, such as 0.8; the others are 'uncertain'.")
]
Threshold = Annotated[
    float | None,
    Field(ge=0, le=1, description="In place of a coverage: least confidence of an answer that is not 'uncertain'."),
]


def _in_csv_alone(spreadsheet_safe: bool, info: ValidationInfo) -> bool:
    form = info.data.get("format", "csv")
    if spreadsheet_safe and form != "csv":
        raise ValueError(f"it goes with format=csv: in {form} nothing is run as a formula")
    return spreadsheet_safe


SpreadsheetSafe = Annotated[
    bool,
    AfterValidator(_in_csv_alone),
    Field(description="Of csv: an apostrophe before text that a spreadsheet would run as a formula."),
]


def _one_of_two(coverage: float | None, threshold: float | None) -> None:
    if coverage is not None and threshold is not None:
        raise ValueError("coverage and threshold say the same in two ways: leave out one of them")


class Common(BaseModel):
    """Options of all requests with recordings."""

    model_config = ConfigDict(extra="forbid")

    model: Model = None
    channel: Annotated[
        str,
        Field(
            pattern=r"^(mix|each|[0-9]{1,3})$",
            description="mix (the mean of all channels), each, or a number; the first is 0.",
        ),
    ] = "mix"
    coverage: Coverage = None
    threshold: Threshold = None

    @model_validator(mode="after")
    def _fit_together(self) -> Common:
        _one_of_two(self.coverage, self.threshold)
        return self

    @property
    def channels(self) -> Channels:
        """Channels that are meant."""
        return channels_named(self.channel, "channel")


class PredictionOptions(Common):
    """Options of ``/v1/predict``."""

    format: Annotated[PredictionFormat, Field(description="Format of the answer.")] = "json"
    spreadsheet_safe: SpreadsheetSafe = False


class Windows(Common):
    """Options of timelines."""

    window_s: Annotated[
        float | None, Field(ge=0.1, le=3600, description="Seconds that the model hears at a time; default 2.")
    ] = None
    hop_s: Annotated[
        float | None, Field(ge=0.05, le=3600, description="Seconds from one window to the next; default 1.")
    ] = None
    vad: Annotated[VadMethod | None, Field(description="How speech is found; default silero.")] = None

    @property
    def rule(self) -> TimelineRule:
        """Rule of the timelines.

        Raises:
            ConfigError: for windows that cannot be.
        """
        return TimelineRule(window_rule(self.window_s, self.hop_s), self.vad)


class StreamOptions(BaseModel):
    """Options of ``/v1/stream``."""

    model_config = ConfigDict(extra="forbid")

    model: Model = None
    encoding: Annotated[
        StreamEncoding,
        Field(description="Of the sound: 16-bit integers or floats, the lowest byte first, mu-law, or WebM with Opus."),
    ] = "s16le"
    sampling_rate_hz: Annotated[
        int | None,
        Field(ge=1000, le=192000, description="Of the sound; default 16000, of mu-law 8000. WebM says its own."),
    ] = None
    events: Annotated[
        Literal["estimates", "segments"],
        Field(description="Estimates of the last seconds, or the segments of a timeline, each once it is final."),
    ] = "estimates"
    window_s: Annotated[
        float | None, Field(ge=0.1, le=3600, description="Seconds heard at a time; default 3, of segments 2.")
    ] = None
    hop_s: Annotated[
        float | None, Field(ge=0.032, le=3600, description="Seconds from one window to the next; default .5, or 1.")
    ] = None
    smoothing_s: Annotated[
        float | None, Field(ge=0, le=3600, description="Of estimates: time in which a former one fades; default 1.")
    ] = None
    vad: Annotated[VadMethod | None, Field(description="How speech is found; default silero.")] = None
    coverage: Coverage = None
    threshold: Threshold = None

    @model_validator(mode="after")
    def _fit_together(self) -> StreamOptions:
        _one_of_two(self.coverage, self.threshold)
        if self.encoding == "webm" and self.sampling_rate_hz is not None:
            raise ValueError("WebM says its own rate: leave out sampling_rate_hz")
        if self.events == "segments" and self.smoothing_s is not None:
            raise ValueError("segments are smoothed by the rule of timelines: leave out smoothing_s")
        return self

    @property
    def rate_hz(self) -> int:
        """Rate of raw samples."""
        return self.sampling_rate_hz or (8000 if self.encoding == "mulaw" else 16000)


class TimelineOptions(Windows):
    """Options of ``/v1/timeline``."""

    format: Annotated[TimelineFormat, Field(description="Format of the answer.")] = "json"
    spreadsheet_safe: SpreadsheetSafe = False


class JobOptions(Windows):
    """Options of ``/v1/jobs``."""

    kind: Annotated[
        Literal["timeline", "predict"], Field(description="As /v1/timeline or as /v1/predict would answer.")
    ] = "timeline"

    @model_validator(mode="after")
    def _windows_of_timelines(self) -> JobOptions:
        given = [name for name in ("window_s", "hop_s", "vad") if getattr(self, name) is not None]
        if self.kind == "predict" and given:
            raise ValueError(f"{given[0]} is for kind=timeline: leave it out")
        return self


class JobResultOptions(BaseModel):
    """Options of a job's result."""

    model_config = ConfigDict(extra="forbid")

    format: Annotated[TimelineFormat, Field(description="Of predictions json, csv or jsonl.")] = "json"
    spreadsheet_safe: SpreadsheetSafe = False
    threshold: Annotated[
        float | None, Field(ge=0, le=1, description="In place of the job's: least confidence of an answer.")
    ] = None

    def check(self, kind: str) -> None:
        """Refuses a format that is none of predictions.

        Raises:
            ConfigError: that names those that are.
        """
        known = get_args(PredictionFormat)
        if kind == "predict" and self.format not in known:
            raise ConfigError(f"format={self.format} is for timelines; the formats of predictions: {', '.join(known)}.")
