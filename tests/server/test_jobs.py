"""Jobs: their progress, result and end; each is its client's alone, and survives a restart only where it is told to."""

import asyncio
import threading
import time

import pytest

from builders.recordings import encoded, tone
from builders.served import refused, served, slowed, wait_until
from emotune.errors import ConfigError, TableError
from emotune.io.locks import LOCK
from emotune.io.tables import write_text
from emotune.schema.labels import LabelSpace
from emotune.server import jobs_folder
from emotune.server.app import create_app
from emotune.server.job import Job
from emotune.server.jobs import Jobs
from emotune.server.jobs_folder import JobsFolder
from emotune.server.keys import new_key
from emotune.server.options import JobOptions
from emotune.server.problems import Problem
from emotune.server.settings import Limits, Settings
from emotune.timelines import Timelines

SOUND = encoded(tone(seconds=10.0, peak=0.5))
QUERY = "/v1/jobs?vad=none"


def begun(server, query: str = QUERY, **options) -> str:
    answer = server.client.post(query, files={"file": ("call.wav", SOUND)}, **options)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    return answer.headers["location"]


def status(server, place: str) -> dict:
    return server.client.get(place).json()


def finished(server, place: str) -> dict:
    wait_until(lambda: status(server, place)["status"] not in ("queued", "running"))
    return status(server, place)


def test_the_result_of_a_job_is_the_answer_at_once(server):
    place = begun(server)
    about = finished(server, place)
    assert (about["status"], about["progress"], about["error"]) == ("done", 1.0, None)
    assert about["created"] < about["expires"]
    expected = server.client.post("/v1/timeline?vad=none", files={"file": ("call.wav", SOUND)}).json()
    assert server.client.get(f"{place}/result").json() == expected
    table = server.client.post("/v1/timeline?vad=none&format=rttm", files={"file": ("call.wav", SOUND)}).text
    assert server.client.get(f"{place}/result?format=rttm").text == table


def test_a_job_of_predictions(server):
    place = begun(server, "/v1/jobs?kind=predict")
    assert finished(server, place)["status"] == "done"
    expected = server.client.post("/v1/predict", files={"file": ("call.wav", SOUND)}).json()
    assert server.client.get(f"{place}/result").json() == expected
    refused(server.client.get(f"{place}/result?format=rttm"), "option")
    refused(server.client.post("/v1/jobs?kind=predict&window_s=2", files={"file": SOUND}), "option")


@pytest.mark.parametrize("kind", ["timeline?vad=none", "predict?"])
def test_the_threshold_of_a_result_can_be_chosen_after_the_job(server, kind):
    route, _, query = kind.partition("?")
    place = begun(server, f"/v1/jobs?kind={route}&{query}")
    finished(server, place)
    first = str(server.client.get(f"{place}/result").json())
    for threshold in (0.99, 0.0):
        asked = f"/v1/{kind}&threshold={threshold}"
        expected = server.client.post(asked, files={"file": ("call.wav", SOUND)}).json()
        assert server.client.get(f"{place}/result?threshold={threshold}").json() == expected
    assert str(server.client.get(f"{place}/result").json()) == first


def test_a_job_may_be_longer_than_an_answer_at_once_and_not_longer_than_a_job(server):
    long, longer = (encoded(tone(seconds=seconds, sampling_rate_hz=2000), 2000) for seconds in (100.0, 301.0))
    refused(server.client.post("/v1/timeline?vad=energy", files={"file": long}), "too-large")
    place = server.client.post("/v1/jobs?vad=energy", files={"file": long}).headers["location"]
    assert finished(server, place)["status"] == "done"
    place = server.client.post("/v1/jobs?vad=energy", files={"file": longer}).headers["location"]
    about = finished(server, place)
    assert about["status"] == "failed"
    assert "the most are 300 s" in about["error"]["detail"]
    refused(server.client.get(f"{place}/result"), "too-large")


def test_a_job_that_runs_tells_its_progress_and_can_be_cancelled(loudness):
    with served(f"loudness={loudness}", jobs=2) as server:
        slowed(server, 0.02)
        long = encoded(tone(seconds=200.0, sampling_rate_hz=4000), 4000)
        running, queued = (server.client.post(QUERY, files={"file": long}).headers["location"] for _ in range(2))
        refused(server.client.post(QUERY, files={"file": long}), "too-many")
        wait_until(lambda: status(server, running)["status"] == "running")
        assert status(server, queued)["status"] == "queued"
        problem = refused(server.client.get(f"{queued}/result"), "job-not-done")
        assert "queued" in problem["detail"]
        wait_until(lambda: 0 < status(server, running)["progress"] < 1, seconds=20)
        for place in (queued, running):
            assert server.client.delete(place).status_code == 204
            wait_until(lambda place=place: status(server, place)["status"] == "cancelled", seconds=2)
        refused(server.client.get(f"{running}/result"), "job-not-done")
        assert server.client.delete(running).status_code == 204
        refused(server.client.get(running), "not-found")
        assert server.service.jobs.active == 0
        assert finished(server, begun(server))["status"] == "done"


def test_a_done_job_is_forgotten_after_its_time_and_when_others_take_its_room(loudness):
    with served(f"loudness={loudness}", job_keep_s=0.5, results=2) as server:
        places = []
        for _ in range(3):
            places.append(begun(server))
            wait_until(lambda: server.service.jobs.active == 0)
        assert [server.client.get(place).status_code for place in places] == [404, 200, 200]
        wait_until(lambda: server.client.get(places[2]).status_code == 404, seconds=3)


def two_clients(loudness, **limits):
    """A server with two keys, and the headers of each."""
    (key, hashed), (other, other_hashed) = new_key(), new_key()
    settings = Settings(keys=(hashed, other_hashed), limits=Limits(**limits))
    headers = [{"headers": {"Authorization": f"Bearer {one}"}} for one in (key, other)]
    return served(f"loudness={loudness}", settings=settings), *headers


def test_one_client_cannot_fill_the_queue_of_jobs(loudness):
    running, mine, theirs = two_clients(loudness, jobs=8, client_jobs=2)
    with running as server:
        slowed(server, 0.1)
        places = [(begun(server, **mine), mine) for _ in range(2)]
        full = server.client.post(QUERY, files={"file": SOUND}, **mine)
        assert "You have 2 jobs here" in refused(full, "too-many")["detail"]
        assert int(full.headers["retry-after"]) >= 1
        for place, own in [*places, (begun(server, **theirs), theirs)]:
            server.client.delete(place, **own)
        wait_until(lambda: server.service.jobs.active == 0)
        begun(server, **mine)


def test_results_of_one_client_do_not_take_the_room_of_another(loudness):
    running, mine, theirs = two_clients(loudness, results=2)
    with running as server:
        places = []
        for own in (theirs, mine, mine, mine):
            places.append((begun(server, **own), own))
            wait_until(lambda: server.service.jobs.active == 0)
        found = [server.client.get(f"{place}/result", **own).status_code for place, own in places]
        assert found == [200, 404, 404, 200]


def test_a_job_is_seen_by_its_client_alone(loudness):
    (key, hashed), (other, other_hashed) = new_key(), new_key()
    settings = Settings(keys=(hashed, other_hashed))
    with served(f"loudness={loudness}", settings=settings) as server:
        place = begun(server, headers={"Authorization": f"Bearer {key}"})
        for path in (place, f"{place}/result"):
            refused(server.client.get(path, headers={"Authorization": f"Bearer {other}"}), "not-found")
        assert server.client.get(place, headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_jobs_of_a_folder_survive_a_restart(loudness, tmp_path):
    settings = Settings(jobs_folder=tmp_path / "jobs")
    with served(f"loudness={loudness}", settings=settings) as server:
        done = begun(server)
        finished(server, done)
        expected = server.client.get(f"{done}/result?format=rttm").text
        as_json = server.client.get(f"{done}/result").json()
        predicted = begun(server, "/v1/jobs?kind=predict&channel=each")
        finished(server, predicted)
        of_predictions = server.client.get(f"{predicted}/result?format=csv").text
        slowed(server, 0.3)
        running, queued = begun(server), begun(server)
        wait_until(lambda: status(server, running)["status"] == "running")
    own = tmp_path / "jobs" / running.rpartition("/")[2]
    assert (own / "0").read_bytes() == SOUND
    assert [path.name for path in (tmp_path / "jobs" / done.rpartition("/")[2]).iterdir()] == ["job.json"]
    (tmp_path / "jobs" / "broken").mkdir()
    (tmp_path / "jobs" / "broken" / "job.json").write_text('{"schema": 1}')
    with served(f"loudness={loudness}", settings=settings) as server:
        assert server.client.get(f"{done}/result?format=rttm").text == expected
        assert server.client.get(f"{done}/result").json() == as_json
        assert server.client.get(f"{predicted}/result?format=csv").text == of_predictions
        for place in (running, queued):
            assert finished(server, place)["status"] == "done"
            assert server.client.get(f"{place}/result").json() == as_json
        assert not (tmp_path / "jobs" / "broken").exists()
        for place in (done, predicted, running, queued):
            assert server.client.delete(place).status_code == 204
        assert [path.name for path in (tmp_path / "jobs").iterdir()] == [LOCK]
        with pytest.raises(ConfigError, match="Another server"):
            JobsFolder(tmp_path / "jobs")


def test_a_job_from_before_a_restart_keeps_its_place():
    async def restored() -> None:
        may_end = threading.Event()

        def work(_job):
            may_end.wait(10.0)
            return Timelines((), LabelSpace(("anger",)))

        jobs = Jobs(Limits(jobs=8, client_jobs=1), work)
        jobs.restore([Job("mine", "loudness", JobOptions(), []) for _ in range(2)])
        with pytest.raises(Problem, match="You have 2 jobs here"), jobs.place("mine"):
            pass
        with jobs.place("theirs"):
            may_end.set()
        while jobs.active:
            await asyncio.sleep(0.01)
        with jobs.place("mine"):
            jobs.close()

    asyncio.run(restored())


def test_jobs_of_a_model_that_is_not_served_are_left_alone(loudness, tmp_path):
    settings = Settings(jobs_folder=tmp_path / "jobs")
    with served(f"loudness={loudness}", settings=settings) as server:
        slowed(server, 0.3)
        place = begun(server)
    own = tmp_path / "jobs" / place.rpartition("/")[2]
    before = {path.name: path.read_bytes() for path in own.iterdir()}
    with pytest.raises(ConfigError, match="keeps jobs of the model 'loudness', which is not served: serve it too"):
        create_app([f"other={loudness}"], settings)
    assert {path.name: path.read_bytes() for path in own.iterdir()} == before
    with served(f"loudness={loudness}", settings=settings) as server:
        assert finished(server, place)["status"] == "done"


@pytest.mark.parametrize("is_full_for_good", [False, True])
def test_recordings_of_a_job_go_even_where_its_result_cannot_be_kept(loudness, tmp_path, monkeypatch, is_full_for_good):
    settings = Settings(jobs_folder=tmp_path / "jobs", limits=Limits(job_keep_s=1.0))
    with served(f"loudness={loudness}", settings=settings) as server:
        slowed(server, 0.05)
        place = begun(server)
        own = tmp_path / "jobs" / place.rpartition("/")[2]

        def full(path, text):
            if is_full_for_good or (own / "0").exists():
                raise TableError(f"Cannot write {path}: No space left on device.")
            write_text(path, text)

        monkeypatch.setattr(jobs_folder, "write_text", full)
        about = finished(server, place)
        wait_until(lambda: server.service.jobs.active == 0)
        assert not (own / "0").exists()
        if is_full_for_good:
            about = status(server, place)
            assert about["status"] == "failed"
            assert "could not be kept" in refused(server.client.get(f"{place}/result"), "no-room")["detail"]
            assert str(tmp_path) not in str(about)
        else:
            assert about["status"] == "done"
        wait_until(lambda: server.client.get(place).status_code == 404, seconds=5)
        assert not own.exists()


def test_without_a_folder_nothing_is_kept(loudness, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with served(f"loudness={loudness}", memory_mb=0.1) as server:
        finished(server, begun(server))
        assert list(tmp_path.iterdir()) == []
    with served(f"loudness={loudness}") as server:
        time.sleep(0.1)
        assert server.service.jobs.active == 0


@pytest.mark.parametrize("job_id", ["nothing", "..%2f..", "%00"])
def test_a_job_that_is_not_there_is_not_found(server, job_id):
    for path in (f"/v1/jobs/{job_id}", f"/v1/jobs/{job_id}/result"):
        assert server.client.get(path).status_code == 404
    assert server.client.delete(f"/v1/jobs/{job_id}").status_code == 404
