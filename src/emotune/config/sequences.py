"""Recipes of sequence models: one encoder-decoder, and the tasks that it is to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from emotune.config.model import BackboneSection, encoder_name
from emotune.config.reading import bundled_or_file, recipe_content, section_of
from emotune.config.recipe import LARGEST_SEED
from emotune.config.training import TrainSection
from emotune.recipes import recipe_folder, recipe_names
from emotune.registry import unknown_name_message
from emotune.section import Section, UserPath

METRICS = {"label": ("uar", "accuracy"), "text": ("wer",), "symbols": ("per",), "slots": ("f1", "exact")}
"""Figures of each kind of answer, the first of them by default the one that chooses the epoch."""

_IDLE = (
    *("unfreeze", "memory_gb", "gradient_checkpointing", "fsdp", "standardize_features", "start_from_probe"),
    *("adversarial", "sampling", "curriculum", "layer_decay", "head_lr", "mix_lr"),
)
_TAKEN = ("score", "error", "utterance_id")
"""Columns and figures that stand beside those of tasks."""


class AdapterSection(Section):
    """The adapter of a task: a small network behind every transformer layer of encoder and decoder."""

    size: int = Field(default=64, ge=0)
    """width of each network; 0 = the task's token alone"""
    joins: Literal["single", "stacked", "fused"] = "single"
    """by itself, behind the adapter of another task, or as attention over those of several"""
    uses: list[str] = Field(default=[])
    """the other tasks: one where it is stacked, two or more where it is fused"""

    @model_validator(mode="after")
    def _has_a_network(self) -> AdapterSection:
        if not self.size and self.uses:
            raise ValueError("size: 0 is a token without an adapter, which uses no others: give a size or no uses")
        return self


class TaskSection(Section):
    """A task: what is written of a clip, and where its truth stands.

    ``manifest`` gives the clips, ``column`` the truth. Labels, symbols and slots are those of the training split.
    With ``ctc`` w the loss is (1 - w) times the decoder's and w times CTC's over the encoder.
    """

    writes: Literal["label", "symbols", "slots", "text"]
    """label, symbols between spaces, slots as "name value; name value", or text"""
    column: str = Field(min_length=1)
    """of the manifest, such as emotion, text, or one of your own"""
    manifest: UserPath | None = None
    """the clips"""
    splits: dict[str, dict[str, list[str]]] = Field(default={})
    """{train: {speaker: ["01"]}, ...}; {} = the manifest's split column"""
    map: dict[str, str] = Field(default={})
    """rename or merge emotion classes"""
    drop: list[str] = Field(default=[])
    """leave emotion classes out"""
    allow: list[Literal["speaker_overlap", "recording_overlap"]] = Field(default=[])
    """[recording_overlap]: although splits share recordings or near copies, as sentences of a synthesiser are"""
    weight: float = Field(default=1.0, gt=0)
    """of the task's loss"""
    metric: str | None = None
    """chooses the epoch: uar or accuracy of a label, f1 or exact of slots; null = the first that there is"""
    adapter: AdapterSection = AdapterSection()
    """its adapter"""
    ctc: float = Field(default=0.0, ge=0, lt=1)
    """share of CTC in the loss"""
    most_tokens: int = Field(default=64, ge=1)
    """of an answer"""

    @model_validator(mode="after")
    def _fits_together(self) -> TaskSection:
        known = METRICS[self.writes]
        if self.metric is not None and self.metric not in known:
            raise ValueError(f"metric: of {self.writes} there is {', '.join(known)}, not {self.metric!r}")
        if self.ctc and self.writes in ("label", "slots"):
            raise ValueError("ctc goes with writes: text or symbols, which are said in the order of writing")
        if (self.map or self.drop) and self.column != "emotion":
            raise ValueError("map and drop change emotion classes: leave them out, or name column: emotion")
        return self


class SequenceModelSection(Section):
    """The encoder-decoder: ``base``, or a ``backbone`` with a new ``decoder``, and the adapters it starts with."""

    base: str | None = None
    """folder of a whole Whisper, or of a base that emotune trained; or backbone"""
    backbone: BackboneSection | None = None
    """an encoder of its own, in place of base"""
    decoder: dict[str, int | float] = Field(default={})
    """of a new decoder: decoder_layers, d_model, decoder_attention_heads, decoder_ffn_dim, ..."""
    trains: Literal["adapters", "all"] = "adapters"
    """adapters and task tokens alone, or everything"""
    adapters: list[UserPath] = Field(default=[])
    """files of trained adapters, which stay as they are: for tasks that use them"""

    @model_validator(mode="after")
    def _one_source(self) -> SequenceModelSection:
        if (self.base is None) == (self.backbone is None):
            raise ValueError("give either base (a folder), or backbone with decoder")
        if self.decoder and self.backbone is None:
            raise ValueError("decoder goes with backbone; base brings its own")
        if self.backbone is not None and self.trains != "all":
            raise ValueError("a new decoder knows nothing: give trains: all; adapters go into the base that it makes")
        if self.backbone is not None and (self.backbone.train != "all" or self.backbone.train_front_end):
            raise ValueError("backbone.train and train_front_end do nothing here: leave them out")
        if self.trains == "all" and self.adapters:
            raise ValueError("adapters fit the base that they were trained on; trains: all changes it: leave one out")
        return self

    @property
    def encoder(self) -> str:
        """Its name for people."""
        return encoder_name("whisper", self.base) if self.backbone is None else self.backbone.encoder


class SequenceTrainSection(TrainSection):
    """Training, as for an emotion model; its learning rates are those of adapters and of the encoder-decoder."""

    metric: str = "score"
    """chooses the epoch: score, the mean of the tasks' metrics (error rates as 1 - rate), or one task's name"""


class SequenceRecipe(Section):
    """A sequence model and its tasks, trained together."""

    name: str = Field(min_length=1)
    """of the run folder"""
    description: str = ""
    """what the experiment is"""
    notice: str | None = None
    """a warning that every report repeats"""
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    """weights of adapters, order of batches"""
    manifest: UserPath | None = None
    """the clips of every task that names none of its own"""
    model: SequenceModelSection
    """the encoder-decoder"""
    tasks: Annotated[dict[str, TaskSection], Field(min_length=1)]
    """name -> task"""
    train: SequenceTrainSection = SequenceTrainSection()
    """how training goes"""

    @model_validator(mode="before")
    @classmethod
    def _with_common_manifest(cls, data: Any) -> Any:
        tasks, common = (data.get(name) if isinstance(data, Mapping) else None for name in ("tasks", "manifest"))
        if common is None or not isinstance(tasks, Mapping):
            return data
        filled = {
            name: {**task, "manifest": common} if isinstance(task, Mapping) and task.get("manifest") is None else task
            for name, task in tasks.items()
        }
        return {**data, "tasks": filled}

    @model_validator(mode="after")
    def _fits_together(self) -> SequenceRecipe:
        faults = [
            f"train.{name} does nothing for sequences: leave it out"
            for name in _IDLE
            if getattr(self.train, name) != TrainSection.model_fields[name].default
        ]
        if self.train.metric not in ("score", *self.tasks):
            faults.append("train.metric: " + unknown_name_message("metric", self.train.metric, ["score", *self.tasks]))
        faults += [
            f"tasks.{name}.adapter.uses: {other} learns here too: train it first, and name it in model.adapters"
            for name, task in self.tasks.items()
            for other in task.adapter.uses
            if other in self.tasks
        ]
        faults += [
            f"tasks.{name}: a task cannot be called so: {name} stands beside tasks in tables"
            for name in _TAKEN
            if name in self.tasks
        ]
        faults += [f"tasks.{name}.manifest is missing" for name, task in self.tasks.items() if task.manifest is None]
        if faults:
            raise ValueError("; ".join(faults))
        return self


def is_sequence_recipe(name: str | Path) -> bool:
    """Tells whether a recipe, by path or name, is one of sequences: it has tasks.

    Raises:
        ConfigError: when there is no such recipe, or it is no YAML.
    """
    return "tasks" in recipe_content(name)


def load_sequence_recipe(name: str | Path, overrides: Sequence[str] = ()) -> SequenceRecipe:
    """Reads a recipe of sequences, with ``key.path=value`` overrides.

    Raises:
        ConfigError: with every fault found.
    """
    path = bundled_or_file("recipe", name, recipe_folder(), recipe_names())
    return section_of(SequenceRecipe, path, recipe_content(path), overrides)
