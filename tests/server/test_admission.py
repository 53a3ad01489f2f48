"""Admission gives turns by clients, counts places, and loses none of either."""

import asyncio
import threading
import time

import pytest

from emotune.server.admission import Admission
from emotune.server.problems import Problem


def test_clients_take_turns_however_many_requests_one_has():
    order = []

    async def all_of_them() -> None:
        admission = Admission("requests", places=20, places_of_client=20, turns=1)
        asked = [admission.run("many", lambda number=number: order.append(f"many {number}")) for number in range(5)]
        asked += [admission.run("few", lambda: order.append("few"))]
        await asyncio.gather(*asked)
        assert admission.working == 0
        admission.close()

    asyncio.run(all_of_them())
    assert order.index("few") <= 2
    assert [name for name in order if name != "few"] == [f"many {number}" for number in range(5)]


def test_work_that_nobody_waits_for_keeps_its_turn_until_its_thread_has_ended():
    async def cancelled() -> None:
        admission = Admission("requests", places=9, places_of_client=9, turns=1)
        go_on = threading.Event()
        running = asyncio.ensure_future(admission.run("a", go_on.wait))
        await asyncio.sleep(0.05)
        waiting = asyncio.ensure_future(admission.run("b", time.monotonic))
        await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.sleep(0.05)
        assert admission.working == 1 and not waiting.done()
        go_on.set()
        assert await asyncio.wait_for(waiting, 5)
        assert admission.working == 0
        admission.close()

    asyncio.run(cancelled())


def test_who_stops_waiting_for_a_turn_takes_none():
    async def cancelled() -> None:
        admission = Admission("requests", places=9, places_of_client=9, turns=1)
        go_on = threading.Event()
        running = asyncio.ensure_future(admission.run("a", go_on.wait))
        waiting = [asyncio.ensure_future(admission.run(name, time.monotonic)) for name in "abcabc"]
        await asyncio.sleep(0.05)
        for task in waiting[::2]:
            task.cancel()
        go_on.set()
        await running
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(one, asyncio.CancelledError) for one in found] == [True, False] * 3
        assert admission.working == 0
        admission.close()

    asyncio.run(cancelled())


def test_places_are_counted_by_client_and_given_back():
    admission = Admission("jobs", places=3, places_of_client=2, turns=1)
    with admission.place("a"), admission.place("a"):
        with pytest.raises(Problem, match="You have 2 jobs here"):
            admission.place("a").__enter__()
        with admission.place("b"), pytest.raises(Problem, match="has taken 3 jobs"):
            admission.place("c").__enter__()
    with admission.place("c"):
        assert admission.taken == 1
    assert admission.taken == 0
    admission.close()
