"""Client for programs with an event loop."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, Literal, TypeVar, overload

import httpx2

from emotune.audio.channels import Channels
from emotune.client.answers import Event, label_space_of
from emotune.client.failures import Patience, body_of, outlasts_request
from emotune.client.jobs import JOBS, AsyncJob, id_of
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
from emotune.client.streams import listen_async
from emotune.errors import AudioError, ServerError
from emotune.inference.items import Item, holds_several, item_given, items_given
from emotune.inference.timeline.recording import TimelineRule
from emotune.schema.labels import LabelSpace
from emotune.schema.predictions import Prediction, Predictions
from emotune.timelines import Timeline

_Found = TypeVar("_Found")


class AsyncClient:
    """Asks as ``Client`` does, with methods that are awaited; also an asynchronous context manager.

    Args:
        url, options: see ``ClientSettings``.
        transport: takes the place of the network, in tests.

    Raises:
        ConfigError: for what is no address.
    """

    def __init__(self, url: str, *, transport: httpx2.AsyncBaseTransport | None = None, **options: Any) -> None:
        self.settings = ClientSettings(url, **options)
        self._http = httpx2.AsyncClient(
            base_url=self.settings.url,
            headers=self.settings.headers,
            timeout=self.settings.timeout_s,
            transport=transport,
        )
        self._places = asyncio.Semaphore(TOGETHER)
        self._about: dict[str, Any] | None = None
        self._is_lost = False  # patience ended without any answer: until one comes, no other question waits as long

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def models(self) -> list[dict[str, Any]]:
        """See ``Client.models``."""
        return (await self._ask("GET", "/v1/models"))["models"]

    async def about(self) -> dict[str, Any]:
        """Description of the model that answers."""
        if self._about is None:
            self._about = self.settings.chosen(await self.models())
        return self._about

    async def label_space(self) -> LabelSpace:
        """Classes and dimensions that are predicted."""
        return label_space_of(await self.about())

    async def fingerprint(self) -> str | None:
        """Fingerprint of the model, and of what it is adapted by."""
        return (await self.about())["fingerprint"]

    async def predict(
        self, source: Any, sampling_rate_hz: int | None = None, *, channel: Channels = "mix"
    ) -> Prediction | Predictions:
        """See ``Client.predict``."""
        items = list(items_given(source, sampling_rate_hz, "mix"))
        if holds_several(source):
            return await self.predict_items(items, channel=channel)
        return await self._answer(one_asked(items[0], channel))

    async def predict_items(self, items: Sequence[Item], *, channel: Channels = "mix") -> Predictions:
        """See ``Client.predict_items``."""

        async def row(item: Item) -> list[Prediction]:
            async with self._places:
                try:
                    return await self._answer(prediction_asked(item, channel))
                except (AudioError, ServerError) as error:
                    return rows_of_failure(item, error, channel)

        about = await self.about()
        rows = await asyncio.gather(*map(row, items))
        return table_of(itertools.chain.from_iterable(rows), about)

    async def timeline(
        self,
        source: Any,
        sampling_rate_hz: int | None = None,
        *,
        channel: Channels = "mix",
        rule: TimelineRule | None = None,
    ) -> Timeline:
        """See ``Client.timeline``."""
        item = item_given(source, sampling_rate_hz)
        return await self.timeline_item(item, channel=channel, rule=rule)

    async def timeline_item(
        self, item: Item, *, channel: Channels = "mix", rule: TimelineRule | None = None
    ) -> Timeline:
        """See ``Client.timeline_item``."""
        return await self._answer(timeline_asked(item, channel, rule))

    @overload
    async def job(
        self,
        source: Any,
        sampling_rate_hz: int | None = None,
        *,
        kind: Literal["timeline"] = "timeline",
        channel: Channels = "mix",
        rule: TimelineRule | None = None,
    ) -> AsyncJob[Timeline]: ...

    @overload
    async def job(
        self,
        source: Any,
        sampling_rate_hz: int | None = None,
        *,
        kind: Literal["predict"],
        channel: Channels = "mix",
        rule: None = None,
    ) -> AsyncJob[Prediction | Predictions]: ...

    async def job(
        self,
        source: Any,
        sampling_rate_hz: int | None = None,
        *,
        kind: Kind = "timeline",
        channel: Channels = "mix",
        rule: TimelineRule | None = None,
    ) -> AsyncJob[Any]:
        """See ``Client.job``."""
        item = item_given(source, sampling_rate_hz)
        return await self._begun(job_asked(kind, item, channel, rule))

    def listen(
        self, blocks: AsyncIterable[Any] | Iterable[Any], sampling_rate_hz: int | None = None, **options: Any
    ) -> AsyncIterator[Event]:
        """See ``Client.listen``; blocks may come asynchronously."""
        return listen_async(self.settings, blocks, sampling_rate_hz, options)

    async def _answer(self, question: Question[_Found]) -> _Found:
        """Answer to a question: at once, or by a job where the recording outlasts a request."""
        if not question.is_large:
            came = await self._come(lambda: self._posted(question.route, question))
            if not outlasts_request(came):
                return question.read(body_of(came, self.settings.url))
        job = await self._begun(question)
        try:
            return await job.result()
        finally:
            await job.let_go()

    async def _begun(self, question: Question[_Found]) -> AsyncJob[_Found]:
        came = await self._come(lambda: self._posted(JOBS, question, kind=question.kind))
        return AsyncJob(id_of(body_of(came, self.settings.url)), question, self._ask)

    async def _posted(self, route: str, question: Question[Any], **further: Any) -> httpx2.Response:
        query = self.settings.query(**question.options, **further)
        name, content = await asyncio.to_thread(file_of, question.item)
        with content:
            return await self._http.post(route, params=query, files={"file": (name, content)})

    async def _ask(self, method: str, path: str) -> dict[str, Any]:
        patience_s = 0.0 if method == "DELETE" else self.settings.patience_s  # nobody waits to end something
        came = await self._come(lambda: self._http.request(method, path), patience_s)
        return body_of(came, self.settings.url)

    async def _come(
        self, question: Callable[[], Awaitable[httpx2.Response]], patience_s: float | None = None
    ) -> httpx2.Response | httpx2.HTTPError:
        """Answer to a question, which is asked again where that may help, or the error in its place."""
        patience_s = self.settings.patience_s if patience_s is None else patience_s
        patience = Patience(0 if self._is_lost else patience_s, self.settings.timeout_s)
        while True:
            try:
                came = await question()
            except httpx2.HTTPError as error:
                came = error
            wait_s = patience.wait_s(came)
            if wait_s is None:
                self._is_lost = isinstance(came, httpx2.HTTPError)
                return came
            await asyncio.sleep(wait_s)
