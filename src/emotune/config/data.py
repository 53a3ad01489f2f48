"""The recipe's sections of data: which utterances are learnt from, and whose labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from emotune.corpora import CORPORA
from emotune.section import OneOf, Section, UnexpandedPath, UserPath


class VotesSection(Section):
    """Labels from the annotators' votes, see ``votes.consensus.relabelled``; the defaults change nothing."""

    label: Literal["given", "plurality", "majority"] = "given"
    """given = the manifest's; plurality = most votes; majority = more than half"""
    ties: Literal["no_agreement", "first", "random"] = "no_agreement"
    """of a plurality: no_agreement, first (class order), random (by utterance id)"""
    other: Literal["keep", "leave_out", "votes_only"] = "keep"
    """keep = a class; leave_out = with its utterances; votes_only = no class at all"""
    no_agreement: Literal["leave_out", "votes", "class"] = "leave_out"
    """without a label: leave_out, votes = kept for a loss of votes, or class = a class of its own, no_agreement"""
    minimum: int = Field(default=1, ge=1)
    """fewer votes than this do not count"""


class DataSection(Section):
    """The data to learn from. Either ``manifest``, or ``corpus`` and ``root`` to read it on the way.

    ``splits`` names the values that make up each split, such as {train: {speaker: ["01"]}}; without it the manifest's
    own split column counts. ``labels`` chooses whose labels of a ``corpus`` with several sources. ``map`` renames or
    merges classes, ``drop`` leaves classes out; both are reported. ``votes`` then makes labels of annotators' votes.
    ``budget`` keeps this share of each class's training utterances; smaller budgets of one seed lie within larger ones.
    ``budget_hours`` says it in hours, and ``budget_corpora`` limits either to some corpora of a joined manifest: how
    much of a new corpus is needed beside the old ones.
    ``target: gender`` learns the speaker's gender in place of emotion: a gender predictor for other models.
    Clips of any split beyond ``max_duration_s``, or below what the encoder needs, are an error before training, or
    left out by ``drop``, or ``cut`` and given silence (``pad``), and so the model does it later too.
    ``unlabelled`` are folders of recordings, or manifests, for tasks that need no labels: what lies in a folder or
    split called test or development is left alone, and so is what the manifest holds already.
    ``cache`` is a folder for decoded clips of training and development, which may grow to ``cache_gb``.
    """

    manifest: UserPath | None = None
    """the utterances; either this, or corpus and root"""
    corpus: Annotated[str, OneOf(CORPORA.kind, CORPORA)] | None = None
    """a name from `emotune corpus read --help`"""
    root: UserPath | None = None
    """its folder"""
    labels: str | None = None
    """whose labels, of a corpus with several sources; null = its first"""
    unlabelled: list[UserPath] = Field(default=[])
    """folders of recordings, or manifests, that a task hears beside the training split; pre-training also without"""
    classes: bool = True
    """learn the emotion classes"""
    dimensions: list[str] = Field(default=[])
    """learn these dimensions of the manifest; [] = none"""
    map: dict[str, str] = Field(default={})
    """rename or merge classes; reported"""
    drop: list[str] = Field(default=[])
    """leave classes out; reported"""
    votes: VotesSection = VotesSection()
    """labels from annotators' votes (votes.<class>)"""
    splits: dict[str, dict[str, list[str]]] = Field(default={})
    """{train: {speaker: ["01", "02"]}, ...}; {} = the manifest's split column"""
    budget: float | None = Field(default=None, gt=0, le=1)
    """this share of each class's training utterances; smaller ones lie within larger ones"""
    budget_hours: float | None = Field(default=None, ge=0)
    """so many hours of training speech in place of a share; smaller ones lie within larger ones"""
    budget_corpora: list[str] = Field(default=[])
    """corpora that the budget is for, others stay whole; [] = all"""
    target: Literal["emotion", "gender"] = "emotion"
    """gender = learn the speaker's gender instead: a predictor for conditions"""
    trim_silence_db: float | None = Field(default=None, gt=0, le=120)
    """cut silence at both ends this far under the loudest frame"""
    max_duration_s: float = Field(default=30.0, gt=0)
    """the longest clip, in seconds"""
    too_long: Literal["error", "drop", "cut"] = "error"
    """of a longer clip: an error before training, left out, or cut at its end; counted"""
    too_short: Literal["error", "drop", "pad"] = "error"
    """of a clip that the encoder has no frame for: likewise, or filled up with silence"""
    cache: UnexpandedPath | None = None
    """a folder for decoded clips of training and development; shared by runs and processes"""
    cache_gb: float = Field(default=50.0, gt=0)
    """how much it may hold; what was used longest ago goes first"""
    allow: list[Literal["speaker_overlap", "recording_overlap"]] = Field(default=[])
    """[speaker_overlap]: train although splits share speakers, [recording_overlap]: recordings"""

    @model_validator(mode="after")
    def _one_source(self) -> DataSection:
        none_needed = bool(self.unlabelled) and self.manifest is None and self.corpus is None
        if (self.manifest is None) == (self.corpus is None) and not none_needed:
            none = self.manifest is None
            enough = "; for pre-training unlabelled=[FOLDER, ...] is enough" if none else ""
            raise ValueError(f"give either manifest, or corpus and root{enough}")
        if self.corpus is not None and self.root is None:
            raise ValueError(f"root is missing: the folder that holds {self.corpus}, as data.root=PATH")
        if self.corpus == "table":
            raise ValueError(
                "a table is read first: emotune corpus read table FILE -o manifest.csv, then data.manifest"
            )
        if self.budget is not None and self.budget_hours is not None:
            raise ValueError("budget and budget_hours both say how much is learnt from: leave out either")
        if self.budget_corpora and self.budget is None and self.budget_hours is None:
            raise ValueError("budget_corpora names corpora for a budget: give budget or budget_hours, or leave it out")
        if self.target == "gender" and (not self.classes or self.dimensions or self.votes != VotesSection()):
            raise ValueError(
                "target: gender learns neither dimensions nor votes: leave dimensions, votes and classes out"
            )
        if not self.classes and not self.dimensions:
            raise ValueError(
                "classes is false and dimensions is empty: there is nothing to learn; name dimensions of the manifest,"
                " such as data.dimensions=[arousal]"
            )
        return self
