"""Annotation of a manifest: questions asked once, answers kept, votes counted for a named rater."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune.annotation.engines.engine import AnnotationEngine, Answer, Question
from emotune.annotation.facts import Facts, sound_of
from emotune.annotation.parsing import UNPARSED, parsed
from emotune.annotation.prompts import CODES, LEVELS, TEXT, VERSION, WORDINGS, messages_of
from emotune.annotation.shots import chosen_examples, example_pool
from emotune.annotation.speech_codes import Codes
from emotune.config.recipe import LARGEST_SEED
from emotune.enrichment.answer_cache import AnswerCache, open_cache
from emotune.errors import AudioError, ConfigError, CorpusError, ServerError
from emotune.evaluation.raters import RATERS, are_votes_of
from emotune.evaluation.words.reader import has_transcript, text_of
from emotune.io.tables import parse_json
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance

CACHE = Path("~/.cache/emotune/annotations")
_CHARACTERS_A_TOKEN = 3
"""Low, so that what a question may cost is guessed too high rather than too low."""


@dataclass(frozen=True)
class Annotating:
    """Options of an annotation.

    Args:
        level: of the prompt, one of ``prompts.LEVELS``.
        shots: examples in each prompt.
        examples_from: the split that these come from.
        samples: answers a clip and wording, each drawn anew; more than one needs a temperature.
        wordings: of the task, each asked.
        seed: of examples and samples.
        most_tokens_in_all: of all new questions and answers; None = no limit.
        price: dollars for a million tokens of prompts and of answers.
    """

    level: str = TEXT
    shots: int = 0
    examples_from: str = "train"
    samples: int = 1
    wordings: int = 1
    seed: int = 0
    most_tokens_in_all: int | None = None
    price: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ConfigError(f"level is '{self.level}', expected one of {', '.join(LEVELS)}.")
        for name, least, most in (
            ("shots", 0, 50),
            ("samples", 1, 100),
            ("wordings", 1, WORDINGS),
            ("seed", 0, LARGEST_SEED),
        ):
            if not least <= getattr(self, name) <= most:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected {least} to {most}.")


@dataclass(frozen=True)
class Annotated:
    """Outcome of an annotation.

    Args:
        manifest: with the votes.
        rater: their name.
        counts: utterance_id -> class, or ``unparsed``, -> answers.
        errors: utterance_id -> why it was not asked.
        asked: new answers.
        kept: answers that were there already.
        tokens: of new prompts and answers.
        dollars: that they cost.
    """

    manifest: Manifest
    rater: str
    counts: Mapping[str, Counter[str]]
    errors: Mapping[str, str]
    asked: int
    kept: int
    tokens: tuple[int, int]
    dollars: float

    @property
    def unparsed(self) -> int:
        """Answers that name no class."""
        return sum(counts[UNPARSED] for counts in self.counts.values())


@dataclass(frozen=True)
class _Asked:
    """Question with its place: whose it is, and the key of its answer."""

    utterance_id: str
    key: str
    question: Question


def annotate(
    manifest: Manifest,
    engine: AnnotationEngine,
    options: Annotating | None = None,
    *,
    split: str | None = None,
    codes: Codes | None = None,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Annotated:
    """Asks an engine for the emotion of each utterance, and counts its answers as votes of the rater ``llm:<name>``.

    An answer is kept as soon as it is there, by the content of its question: the next run asks only what is missing.
    When the endpoint fails for good, or the tokens are spent, the work ends with an error and loses nothing.

    Args:
        manifest: with transcripts; classes are those of its label space.
        engine: that answers.
        options: how it is asked.
        split: that is annotated; None = all utterances.
        codes: makes speech codes, for that level.
        cache: folder of answers; None: ``~/.cache/emotune/annotations``.
        progress: shows how far the work is.

    Raises:
        ConfigError: for options that do not go together.
        CorpusError: without classes, transcripts or examples.
        ServerError: when the engine fails, or the tokens are spent.
    """
    options = options or Annotating()
    _check(manifest, engine, options, codes)
    wanted = [u for u in manifest if split is None or u.split == split]
    if not wanted:
        raise CorpusError(f"The manifest has no utterance in split '{split}'.")
    errors: dict[str, str] = {}
    counts: dict[str, Counter[str]] = {}
    spent = _Spent(options.most_tokens_in_all)
    with open_cache((cache or CACHE).expanduser(), {**engine.identity, "prompts": VERSION}) as answers:
        questions = list(_questions(manifest, wanted, engine, options, codes, errors))
        known = _read(answers.get([asked.key for asked in questions]))
        missing = list({asked.key: asked for asked in questions if asked.key not in known}.values())
        kept_count = sum(asked.key in known for asked in questions)
        new = _new(engine, missing, answers, spent)
        unheard: dict[str, AudioError] = {}
        for key, answer in progress(new, total=len(missing), title=f"asking {engine.name}"):
            if isinstance(answer, AudioError):
                unheard[key] = answer
            else:
                known[key] = answer
    for asked in questions:
        if asked.key in unheard:
            errors[asked.utterance_id] = f"{asked.utterance_id}: {unheard[asked.key]}"
            continue
        label = parsed(known[asked.key].text, manifest.label_space.classes) or UNPARSED
        counts.setdefault(asked.utterance_id, Counter())[label] += 1
    if not counts:
        cure = "" if any(map(has_transcript, wanted)) else " Write the words down with `emotune transcribe`."
        cure = "" if engine.hears else cure
        raise CorpusError(
            f"Not one of {len(wanted)} utterances can be asked about, such as {next(iter(errors.values()))}{cure}"
        )
    rater = f"llm:{engine.name}"
    dollars = (spent.prompt * options.price[0] + spent.answer * options.price[1]) / 1e6
    about = {
        **dataclasses.asdict(options),
        "engine": dict(engine.identity),
        "prompts": VERSION,
        "split": split,
        "answers": sum(sum(own.values()) for own in counts.values()),
        UNPARSED: sum(own[UNPARSED] for own in counts.values()),
    }
    return Annotated(
        with_votes_of(manifest, rater, counts, about),
        rater,
        counts,
        errors,
        len(missing) - len(unheard),
        kept_count,
        (spent.prompt, spent.answer),
        dollars,
    )


def with_votes_of(
    manifest: Manifest, rater: str, counts: Mapping[str, Mapping[str, int]], about: Mapping[str, Any]
) -> Manifest:
    """Writes a rater's votes into columns of its name, and as ``votes.<class>`` where people gave none."""
    rows = []
    for utterance in manifest:
        own = counts.get(utterance.utterance_id)
        if own is None:
            rows.append(utterance)
            continue
        columns = {f"{rater}.{name}": own.get(name, 0) for name in (*manifest.label_space.classes, UNPARSED)}
        votes = {name: float(number) for name, number in own.items() if name != UNPARSED and number}
        takes = not utterance.votes or are_votes_of(utterance, rater, manifest.label_space.classes)
        rows.append(
            dataclasses.replace(
                utterance, extra={**utterance.extra, **columns}, votes=votes if takes else utterance.votes
            )
        )
    raters = {**manifest.information.get(RATERS, {}), rater: dict(about)}
    return dataclasses.replace(manifest, utterances=tuple(rows), information={**manifest.information, RATERS: raters})


def _check(manifest: Manifest, engine: AnnotationEngine, options: Annotating, codes: Codes | None) -> None:
    if len(manifest.label_space.classes) < 2:
        raise CorpusError("The manifest names fewer than two classes, so that there is nothing to choose from.")
    if options.level == CODES and codes is None:
        raise ConfigError("The level codes needs a codebook: make one with `emotune codebook`, and give --codebook.")
    if options.samples > 1 and engine.options.temperature == 0:
        raise ConfigError("Several samples at temperature 0 are all the same: give --temperature, such as 0.7.")
    if engine.hears and options.shots:
        raise ConfigError("An engine that hears is asked without examples: leave out --shots.")


def _questions(
    manifest: Manifest,
    wanted: Sequence[Utterance],
    engine: AnnotationEngine,
    options: Annotating,
    codes: Codes | None,
    errors: dict[str, str],
) -> Iterator[_Asked]:
    """All questions, wording by wording and sample by sample; what cannot be asked goes to ``errors``."""
    classes = manifest.label_space.classes
    pool = example_pool(manifest, wanted, options.examples_from) if options.shots else []
    shown = {
        wording: [
            (facts, u.emotion or "")
            for u in chosen_examples(pool, options.shots, seed=options.seed + wording)
            if isinstance(facts := _facts(manifest, u, options.level, codes), Facts)
        ]
        for wording in range(options.wordings)
    }
    for utterance in wanted:
        if not engine.reads(utterance.language):
            errors[utterance.utterance_id] = (
                f"{utterance.utterance_id}: its language is {utterance.language}, which {engine.name} does not read."
            )
            continue
        if not has_transcript(utterance) and not engine.hears and options.level == TEXT:
            errors[utterance.utterance_id] = f"{utterance.utterance_id}: it has no transcript."
            continue
        facts = (
            Facts(utterance.utterance_id, None) if engine.hears else _facts(manifest, utterance, options.level, codes)
        )
        if isinstance(facts, AudioError):
            errors[utterance.utterance_id] = f"{utterance.utterance_id}: {facts}"
            continue
        for wording in range(options.wordings):
            messages = messages_of(facts, classes, level=options.level, examples=shown[wording], wording=wording)
            for sample in range(options.samples):
                question = Question(
                    messages,
                    facts,
                    classes,
                    seed=options.seed + sample,
                    sound=(lambda u=utterance: manifest.clip_of(u).samples) if engine.hears else None,
                    content_sha256=utterance.content_sha256 if engine.hears else None,
                )
                yield _Asked(utterance.utterance_id, _key(question, utterance, engine), question)


def _facts(manifest: Manifest, utterance: Utterance, level: str, codes: Codes | None) -> Facts | AudioError:
    text, gender = text_of(utterance), utterance.gender or utterance.gender_predicted
    if level == TEXT:
        return Facts(utterance.utterance_id, text)
    try:
        samples = manifest.clip_of(utterance).samples
        found = codes(samples) if level == CODES and codes is not None else None
    except AudioError as error:
        return error
    return Facts(utterance.utterance_id, text, gender, sound_of(samples), found)


def _key(question: Question, utterance: Utterance, engine: AnnotationEngine) -> str:
    """Hash of all that an answer hangs on."""
    heard = (utterance.content_sha256 or utterance.utterance_id) if engine.hears else None
    content = [list(question.messages), list(question.classes), question.seed, engine.options.most_tokens, heard]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode(errors="surrogatepass")).hexdigest()


class _Spent:
    """Tokens of new answers, and the limit of both together."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.prompt = 0
        self.answer = 0

    def add(self, answer: Answer) -> None:
        """Counts an answer's tokens."""
        self.prompt += answer.prompt_tokens
        self.answer += answer.answer_tokens

    def has_room(self, questions: Sequence[Question], most_tokens: int) -> bool:
        """Tells whether these may be asked without going beyond the limit."""
        if self.limit is None:
            return True
        coming = sum(
            sum(len(message["content"]) for message in question.messages) // _CHARACTERS_A_TOKEN + most_tokens
            for question in questions
        )
        return self.prompt + self.answer + coming <= self.limit


def _new(
    engine: AnnotationEngine, missing: Sequence[_Asked], answers: AnswerCache, spent: _Spent
) -> Iterator[tuple[str, Answer | AudioError]]:
    """Asks what is missing, as many at a time as the engine takes, and keeps each answer before anything else.

    A recording that cannot be heard has its error in place of an answer, and the others are asked about.
    """
    done = 0
    with ThreadPoolExecutor(engine.together) as threads:
        for start in range(0, len(missing), engine.together):
            batch = missing[start : start + engine.together]
            if not spent.has_room([asked.question for asked in batch], engine.options.most_tokens):
                raise ServerError(
                    f"The token budget of {spent.limit} does not reach for more: {done} of {len(missing)} new answers"
                    f" are there and kept, for {spent.prompt + spent.answer} tokens. Raise --token-budget and run the"
                    " same command again to go on."
                )
            waiting = [threads.submit(engine.answer, asked.question) for asked in batch]
            failed: Exception | None = None
            for asked, coming in zip(batch, waiting, strict=True):
                try:
                    answer = coming.result()
                except AudioError as error:
                    yield asked.key, error
                    continue
                except ServerError as error:
                    failed = failed or error
                    continue
                answers.keep({asked.key: json.dumps(dataclasses.asdict(answer)).encode()})
                spent.add(answer)
                done += 1
                yield asked.key, answer
            if failed is not None:
                raise ServerError(
                    f"{failed} {done} of {len(missing)} new answers are kept: run the same command again to go on."
                ) from failed


def _read(kept: Mapping[str, bytes]) -> dict[str, Answer]:
    """Answers of the cache; what cannot be read is asked again."""
    found: dict[str, Answer] = {}
    for key, content in kept.items():
        try:
            found[key] = Answer(**parse_json(content.decode()))
        except (ValueError, TypeError, AttributeError):
            continue
    return found
