"""Recordings and speakers that models heard before a recipe learns from them: one rule for starts, encoders, teachers.

Such a model counts as trained on the training split of its own run, and on all that the models heard that it learnt
from itself. A model without its run may have heard anybody; a published encoder is no such model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotune.config.lessons import LessonOptions
from emotune.config.model import encoder_name
from emotune.config.recipe import Recipe
from emotune.config.views import ViewsOptions
from emotune.errors import CorpusError, ModelError
from emotune.evaluation.earlier_training import EarlierTraining, earlier_in, earlier_notices
from emotune.io.hub import CARD, corpora_of
from emotune.models.backbones.checkpoint import local_checkpoint
from emotune.models.folder import find_model_folder
from emotune.schema.manifest import Manifest
from emotune.schema.run_folder import RunFolder, run_around
from emotune.schema.speakers import heard_speakers, known_voices, shared_voices, voice_of
from emotune.schema.splits import TRAIN
from emotune.schema.utterance import Utterance


@dataclass(frozen=True)
class EarlierModel:
    """A trained model that a recipe learns from beside its recordings.

    Args:
        key: of the recipe, which names it.
        name: as the recipe has it.
        training: the speakers that it heard.
        recordings: contents of the recordings that it heard.
    """

    key: str
    name: str
    training: EarlierTraining
    recordings: frozenset[str] = frozenset()


def earlier_models(recipe: Recipe) -> list[EarlierModel]:
    """The model that a recipe goes on from, those that it merges, encoders that come of runs, and teachers.

    Raises:
        ModelError: for a folder that is damaged or not there.
    """
    return [_heard(*named) for named in _named(recipe)]


def refuse_heard(models: Sequence[EarlierModel], scored: Iterable[Utterance], *, allow: Collection[str] = ()) -> None:
    """Refuses models that have heard speakers or recordings of the utterances that choose or are scored.

    ``allow`` lets them pass, as it does for splits.

    Raises:
        CorpusError: naming the model, whom it heard, and the cures.
    """
    utterances = list(scored)
    for model in models:
        voices = shared_voices(known_voices(utterances), model.training.voices)
        shared = {
            "speaker_overlap": [u for u in utterances if voice_of(u) in voices],
            "recording_overlap": [u for u in utterances if u.content_sha256 in model.recordings],
        }
        needed = [word for word, found in shared.items() if found]
        refused = [word for word in needed if word not in allow]
        if refused:
            found = shared[refused[0]]
            of_splits = " and ".join(sorted({u.split for u in found if u.split is not None})) or "the manifest"
            raise CorpusError(
                f"{model.key}: {model.name} has heard {_in_words(refused[0], found)} of {of_splits}: figures would be"
                " better than they are. Train it on the training speakers of the same splits. To go on all the same, or"
                f" where other people have the same names: data.allow=[{', '.join(needed)}]."
            )


def warnings_of_earlier(earlier: Sequence[EarlierTraining], manifest: Manifest) -> list[str]:
    """Says before the work which held-out speakers were heard already."""
    found = [
        sentence
        for split in sorted({u.split for u in manifest if u.split not in (None, TRAIN)})
        for sentence in earlier_notices(
            earlier, manifest.filter(lambda u, own=split: u.split == own), f"the split {split}"
        )
    ]
    return list(dict.fromkeys(found))


def _named(recipe: Recipe) -> Iterator[tuple[str, str, Path, bool]]:
    """Key, name and folder of each model, and if it is a teacher; of encoders those alone that come of a run."""
    if recipe.model.start is not None:
        yield "model.start", recipe.model.start, find_model_folder(recipe.model.start).folder, False
    for name in recipe.model.merged:
        yield "model.adapter.models", name, find_model_folder(name).folder, False
    checkpoints = {"model.backbone": recipe.model.backbone.checkpoint}
    if recipe.model.second is not None:
        checkpoints["model.second.backbone"] = recipe.model.second.backbone.checkpoint
    view = recipe.task.encoder if isinstance(recipe.task, ViewsOptions) else None
    if view is not None:
        checkpoints["task.encoder"] = view.checkpoint
    for section, checkpoint in checkpoints.items():
        if checkpoint is not None and _run_of(folder := local_checkpoint(checkpoint)) is not None:
            yield f"{section}.checkpoint", checkpoint, folder, section == "task.encoder"
    if isinstance(recipe.task, LessonOptions):
        for teacher in recipe.task.teachers:
            try:
                yield "task.teacher", teacher, find_model_folder(teacher).folder, True
            except ModelError as error:
                raise ModelError(f"task.teacher: {error}") from error


def _run_of(folder: Path) -> RunFolder | None:
    """The run that made a model or an encoder; None where it lies in none, or is no part of the one that it lies in."""
    folder = folder.resolve()
    run = run_around(folder)
    parts = () if run is None else (run.model.name, run.encoder.name, run.encoder_before.name)
    return run if folder.name in parts else None


def _heard(key: str, name: str, folder: Path, is_teacher: bool) -> EarlierModel:
    run, part = _run_of(folder), folder.resolve().name
    if run is None:
        corpora = corpora_of(folder / CARD)
        return EarlierModel(
            key, name, EarlierTraining(encoder_name(key, name), frozenset(), False, is_teacher, corpora)
        )
    trained_on = Manifest.read(run.manifest).filter(
        lambda utterance: utterance.split == TRAIN and part != run.encoder_before.name
    )
    before = earlier_in(run.information())
    training = EarlierTraining(
        run.path.name,
        frozenset(heard_speakers(trained_on)).union(*(one.speakers for one in before)),
        all(u.speaker is not None for u in trained_on) and all(one.complete for one in before),
        is_teacher,
    )
    recordings = {u.content_sha256 for u in trained_on if u.content_sha256} | run.recordings_before()
    return EarlierModel(key, name, training, frozenset(recordings))


def _in_words(word: str, found: Sequence[Utterance]) -> str:
    """Whom or what was heard, such as ``2 speakers (03, 04)``."""
    names = list(dict.fromkeys(str(u.speaker) if word == "speaker_overlap" else u.utterance_id for u in found))
    thing = word.removesuffix("_overlap")
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{len(names)} {thing}{'' if len(names) == 1 else 's'} ({', '.join(names[:3])}{more})"
