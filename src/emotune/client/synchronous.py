"""Client that waits for its answers."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar, overload

import httpx2

from emotune import audio
from emotune.audio.channels import Channels
from emotune.client.answers import Event, label_space_of
from emotune.client.failures import Patience, body_of, outlasts_request
from emotune.client.jobs import JOBS, Job, id_of
from emotune.client.questions import (
    Kind,
    Question,
    file_of,
    job_asked,
    one_asked,
    prediction_asked,
    rows_of_failure,
    table_of,
    timeline_asked,
)
from emotune.client.settings import TOGETHER, ClientSettings
from emotune.client.streams import listen
from emotune.errors import AudioError, ServerError
from emotune.inference.items import Item, holds_several, item_given, items_given
from emotune.inference.timeline.recording import TimelineRule
from emotune.runtime.progress import Progress, silent
from emotune.schema.labels import LabelSpace
from emotune.schema.predictions import Prediction, Predictions
from emotune.timelines import Timeline

_Found = TypeVar("_Found")


class Client:
    """Asks a server as one would ask a ``Predictor``; also a context manager.

    A recording that outlasts a request is sent as a job, which the server forgets once its answer is here.

    Args:
        url, options: see ``ClientSettings``.
        transport: takes the place of the network, in tests.

    Raises:
        ConfigError: for what is no address.
    """

    def __init__(self, url: str, *, transport: httpx2.BaseTransport | None = None, **options: Any) -> None:
        self.settings = ClientSettings(url, **options)
        self._http = httpx2.Client(
            base_url=self.settings.url,
            headers=self.settings.headers,
            timeout=self.settings.timeout_s,
            transport=transport,
        )
        self._about: dict[str, Any] | None = None
        self._is_lost = False  # patience ended without any answer: until one comes, no other question waits as long
        self._jobs: set[Job[Any]] = set()  # whose answers are waited for
        self._gives_up = False  # begins no further ones

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def models(self) -> list[dict[str, Any]]:
        """Models of the server, as it describes them.

        Raises:
            ServerError: when it cannot be reached.
        """
        return self._ask("GET", "/v1/models")["models"]

    @property
    def about(self) -> dict[str, Any]:
        """Description of the model that answers."""
        if self._about is None:
            self._about = self.settings.chosen(self.models())
        return self._about

    @property
    def label_space(self) -> LabelSpace:
        """Classes and dimensions that are predicted."""
        return label_space_of(self.about)

    @property
    def fingerprint(self) -> str | None:
        """Fingerprint of the model, and of what it is adapted by."""
        return self.about["fingerprint"]

    @overload
    def predict(  # pyright: ignore[reportOverlappingOverload] (what is in a list is not one recording)
        self, source: list[Any] | Iterator[Any], sampling_rate_hz: int | None = None, *, channel: Channels = "mix"
    ) -> Predictions: ...

    @overload
    def predict(self, source: Any, sampling_rate_hz: int | None = None, *, channel: Literal["each"]) -> Predictions: ...

    @overload
    def predict(
        self, source: Any, sampling_rate_hz: int | None = None, *, channel: audio.Channel = "mix"
    ) -> Prediction: ...

    def predict(
        self, source: Any, sampling_rate_hz: int | None = None, *, channel: Channels = "mix"
    ) -> Prediction | Predictions:
        """Predicts one recording, or many, as ``Predictor.predict`` does.

        Raises:
            AudioError: when a single recording cannot be used.
            ServerError: when the server does not answer.
        """
        items = list(items_given(source, sampling_rate_hz, "mix"))
        if holds_several(source):
            return self.predict_items(items, channel=channel)
        return self._answer(one_asked(items[0], channel))

    def predict_items(
        self, items: Sequence[Item], *, channel: Channels = "mix", progress: Progress = silent
    ) -> Predictions:
        """Predicts items in their order, some at a time; one without an answer is a row with its error.

        Raises:
            ServerError: when the server does not say which model it has.
        """

        def row(item: Item) -> list[Prediction]:
            try:
                return self._answer(prediction_asked(item, channel))
            except (AudioError, ServerError) as error:
                return rows_of_failure(item, error, channel)

        about = self.about  # a server that is not there is one error, and not one for each row
        self._gives_up = False
        with ThreadPoolExecutor(TOGETHER) as threads:
            try:
                rows = list(progress(threads.map(row, items), total=len(items), title="predicting"))
            except BaseException:  # Ctrl-C, say: jobs are ended, and what has not been asked is not
                self._gives_up = True
                threads.shutdown(wait=False, cancel_futures=True)
                for job in list(self._jobs):
                    job.let_go()
                raise
        return table_of(itertools.chain.from_iterable(rows), about)

    def timeline(
        self,
        source: Any,
        sampling_rate_hz: int | None = None,
        *,
        channel: Channels = "mix",
        rule: TimelineRule | None = None,
    ) -> Timeline:
        """Emotions of one recording, from moment to moment, as ``Predictor.timeline`` gives them, without loudness.

        Raises:
            AudioError: when the recording cannot be used.
            ConfigError: when the model takes no windows of the rule's length.
            ServerError: when the server does not answer.
        """
        item = item_given(source, sampling_rate_hz)
        return self.timeline_item(item, channel=channel, rule=rule)

    def timeline_item(
        self,
        item: Item,
        *,
        channel: Channels = "mix",
        rule: TimelineRule | None = None,
        progress: Progress = silent,
    ) -> Timeline:
        """Timeline of an item; its own channel comes before the one that is asked for.

        Args:
            item, channel, rule: as for ``timeline``.
            progress: shows how much of a long recording is done.

        Raises:
            EmotuneError: as ``timeline`` does.
        """
        return self._answer(timeline_asked(item, channel, rule), progress)

    @overload
    def job(
        self,
        source: Any,
        sampling_rate_hz: int | None = None,
        *,
        kind: Literal["timeline"] = "timeline",
        channel: Channels = "mix",
        rule: TimelineRule | None = None,
    ) -> Job[Timeline]: ...

    @overload
    def job(
        self,
        source: Any,
        sampling_rate_hz: int | None = None,
        *,
        kind: Literal["predict"],
        channel: Channels = "mix",
        rule: None = None,
    ) -> Job[Prediction | Predictions]: ...

    def job(
        self,
        source: Any,
        sampling_rate_hz: int | None = None,
        *,
        kind: Kind = "timeline",
        channel: Channels = "mix",
        rule: TimelineRule | None = None,
    ) -> Job[Any]:
        """Begins a job, to be looked at, waited for or cancelled: what ``timeline`` or ``predict`` gives, later.

        Raises:
            AudioError: when the recording cannot be sent.
            ServerError: when the server takes no job, or does not answer.
        """
        item = item_given(source, sampling_rate_hz)
        return self._begun(job_asked(kind, item, channel, rule))

    def listen(self, blocks: Iterable[Any], sampling_rate_hz: int | None = None, **options: Any) -> Iterator[Event]:
        """Yields the events of a stream while its sound is sent.

        Args:
            blocks: samples of shape (samples,) or (samples, channels), of which the mean is heard; or bytes in the
                option ``encoding``.
            sampling_rate_hz: of the sound.
            options: of ``/v1/stream``: ``encoding``, ``events``, ``window_s`` and so on.

        Yields:
            ``Estimate``; or with ``events="segments"`` a ``TimelineSegment``, and an ``UnansweredWindow`` with its
            reason for what the model could not answer.

        Raises:
            EmotuneError: that ended the stream.
        """
        return listen(self.settings, blocks, sampling_rate_hz, options)

    def _answer(self, question: Question[_Found], progress: Progress = silent) -> _Found:
        """Answer to a question: at once, or by a job where the recording outlasts a request."""
        if not question.is_large:
            came = self._come(lambda: self._posted(question.route, question))
            if not outlasts_request(came):
                return question.read(body_of(came, self.settings.url))
        job = self._begun(question)
        self._jobs.add(job)
        try:
            if self._gives_up:
                raise ServerError("Nobody waits for the job any more.")
            return job.result(progress)
        finally:
            self._jobs.discard(job)
            job.let_go()

    def _begun(self, question: Question[_Found]) -> Job[_Found]:
        came = self._come(lambda: self._posted(JOBS, question, kind=question.kind))
        return Job(id_of(body_of(came, self.settings.url)), question, self._ask)

    def _posted(self, route: str, question: Question[Any], **further: Any) -> httpx2.Response:
        query = self.settings.query(**question.options, **further)
        name, content = file_of(question.item)
        with content:
            return self._http.post(route, params=query, files={"file": (name, content)})

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        patience_s = 0.0 if method == "DELETE" else self.settings.patience_s  # nobody waits to end something
        came = self._come(lambda: self._http.request(method, path), patience_s)
        return body_of(came, self.settings.url)

    def _come(
        self, question: Callable[[], httpx2.Response], patience_s: float | None = None
    ) -> httpx2.Response | httpx2.HTTPError:
        """Answer to a question, which is asked again where that may help, or the error in its place."""
        patience_s = self.settings.patience_s if patience_s is None else patience_s
        patience = Patience(0 if self._is_lost else patience_s, self.settings.timeout_s)
        while True:
            try:
                came = question()
            except httpx2.HTTPError as error:
                came = error
            wait_s = patience.wait_s(came)
            if wait_s is None:
                self._is_lost = isinstance(came, httpx2.HTTPError)
                return came
            time.sleep(wait_s)
