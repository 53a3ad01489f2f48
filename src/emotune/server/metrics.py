"""Metrics for Prometheus: requests, models, places, and the process; nothing of any recording or client."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_CLIPS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "emotune_requests", "Answers by route and status.", ["route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "emotune_request_seconds",
            "Time from a request to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._clips = Counter("emotune_clips", "Clips that a model answered.", ["model"], registry=self.registry)
        self._audio_s = Counter(
            "emotune_audio_seconds", "Seconds of sound that a model answered.", ["model"], registry=self.registry
        )
        self._model_s = Counter(
            "emotune_model_seconds", "Seconds of threads in a model.", ["model"], registry=self.registry
        )
        self._batch = Histogram(
            "emotune_batch_clips", "Clips of a batch.", ["model"], buckets=_CLIPS, registry=self.registry
        )

    def answered(self, route: str, status: int, took_s: float) -> None:
        """Counts an answer."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(took_s)

    def ran(self, model: str, clips: int, audio_s: float, took_s: float) -> None:
        """Counts a run of a model."""
        self._clips.labels(model).inc(clips)
        self._audio_s.labels(model).inc(audio_s)
        self._model_s.labels(model).inc(took_s)
        self._batch.labels(model).observe(clips)

    def watch(self, name: str, about: str, value: Callable[[], float]) -> None:
        """Adds a gauge that is asked when somebody looks."""
        Gauge(name, about, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)
