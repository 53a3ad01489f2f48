"""The recipe's sections of a model: the encoder, and the parts on top of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from emotune.config.conditions import ConditionsSection
from emotune.config.entries import Chosen, EntrySection
from emotune.models.adapters import ADAPTERS
from emotune.models.adapters.options import TaskVectorOptions
from emotune.models.aggregations import LAYER_MIXES, POOLINGS, VARAN
from emotune.models.backbones import BACKBONES
from emotune.models.conditions import JOINS
from emotune.registry import unknown_name_message
from emotune.section import OneOf, Section


class BackboneSection(Section):
    """The encoder: published weights from ``checkpoint``, or random ones from ``config``.

    ``checkpoint`` is a local folder, ``hf:owner/name[@revision]`` on the Hugging Face Hub, or the plain name of an
    encoder that its makers published there.

    ``layers`` keeps the first k; with ``final_norm`` all are kept and the last state passes the norm behind them;
    ``train`` is all, none, or the number of top layers; the front end trains only on request.
    """

    name: Annotated[str, OneOf(BACKBONES.kind, BACKBONES)]
    """the encoder's family"""
    checkpoint: str | None = None
    """Hub name or local folder; or config: {...} for random weights"""
    revision: str | None = None
    """commit, tag or branch of the Hub"""
    config: dict[str, Any] | None = None
    """keys of the published config.json, for random weights in place of checkpoint"""
    layers: int | None = Field(default=None, ge=1)
    """keep the first k, whose last state is the full model's raw state k"""
    final_norm: bool = False
    """the last state passes the norm behind the last layer, as a published last_hidden_state"""
    train: Literal["all", "none"] | Annotated[int, Field(ge=0)] = "all"
    """all, none, or the number of top layers; with an adapter: the layers that get it"""
    train_front_end: bool = False
    """the convolutions below the transformer"""

    @model_validator(mode="after")
    def _one_source(self) -> BackboneSection:
        if (self.checkpoint is None) == (self.config is None):
            raise ValueError("give either checkpoint (Hub name or folder) or config (random weights)")
        keys = BACKBONES.options(self.name)
        known = ["model_type", *(self.config or {} if keys is None else keys)]  # of others' that name no keys: any
        unknown = [unknown_name_message("config key", key, known) for key in self.config or {} if key not in known]
        if unknown:
            raise ValueError(" ".join(unknown))
        if self.final_norm and self.layers is not None:
            raise ValueError("final_norm belongs behind the last layer of all; leave out layers (null) or final_norm")
        if self.train_front_end and self.train != "all":
            raise ValueError("train_front_end needs train: all")
        return self

    @property
    def encoder(self) -> str:
        """Its name for people and folders, see ``encoder_name``."""
        return encoder_name(self.name, self.checkpoint)


class VaranOptions(Section):
    """Options of ``layer_mix: varan``: weight and shape of the prior over layers."""

    beta: float = Field(default=0.05, ge=0)
    """weight of KL(prior || posterior over layers)"""
    prior: Literal["chi2", "geometric", "uniform"] = "chi2"
    """shape of the prior over layers"""
    parameter: float = Field(default=35.0, gt=0)
    """degrees of freedom of chi2, or the geometric prior's probability"""

    @model_validator(mode="after")
    def _share(self) -> VaranOptions:
        if self.prior == "geometric" and self.parameter >= 1:
            raise ValueError(f"parameter is {self.parameter:g}, expected a probability below 1 for prior: geometric")
        return self


class SecondSection(Section):
    """A second encoder beside the first: mean pooled, projected to ``size`` and joined to the first one's pooled sound.

    Both hear the same clip. One that needs normalised clips (WavLM Large) stands here, and one that hears them as they
    are (Whisper, WavLM Base) is the first; two of a kind stand as they like.
    """

    backbone: BackboneSection
    """the encoder; keys as of model.backbone"""
    layer_mix: Annotated[str | EntrySection, Chosen(LAYER_MIXES)] = "weighted_sum"
    """how the layers' states become one"""
    size: int = Field(default=512, ge=1)
    """features that its mean over time is projected to; 512 in MEDUSA"""


class ModelSection(Section):
    """The parts on top of the backbone. With an ``adapter``, ``backbone.train`` says how many top layers get it.

    With ``start`` encoder, layer mix and pooling are those of a trained model, with their weights, and so are heads of
    the same classes or dimensions; other heads are new. Of ``backbone`` only ``train`` and ``train_front_end`` count.
    """

    start: str | None = None
    """a model or run folder to go on from, in place of backbone, layer_mix and pooling"""
    backbone: BackboneSection
    """the encoder"""
    second: SecondSection | None = None
    """{backbone: {...}, layer_mix: weighted_sum, size: 512}: another encoder beside it"""
    adapter: Annotated[EntrySection | None, Chosen(ADAPTERS, example="{name: lora, rank: 8}")] = None
    """{name: lora, rank: 8, ...}, bottleneck, peft, bitfit, or {name: task_vectors, models: [...]}"""
    layer_mix: Annotated[str | EntrySection, Chosen(LAYER_MIXES, beside=(VARAN,))] = "weighted_sum"
    """how the layers' states become one"""
    layer_mix_initial: list[Annotated[float, Field(gt=0)]] | None = None
    """where a weighted sum starts: one share for the input of layer 1, then one a layer"""
    varan: VaranOptions = VaranOptions()
    """options of layer_mix: varan"""
    pooling: Annotated[str | EntrySection, Chosen(POOLINGS)] = "mean_std"
    """how frames become one vector"""
    hidden_size: int | None = Field(default=None, ge=1)
    """a hidden layer in the heads; null = linear heads"""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """share of the pooled features that training sets to zero"""
    conditions: ConditionsSection = ConditionsSection()
    """what the model is given beside the sound; null = nothing"""
    join: Annotated[str | EntrySection, Chosen(JOINS)] = "concat"
    """how conditions join the pooled sound"""

    @property
    def encoder(self) -> str:
        """Name of the encoder, or of the model to go on from, for people and folders."""
        return self.backbone.encoder if self.start is None else encoder_name(self.backbone.name, self.start)

    @property
    def merged(self) -> list[str]:
        """Models whose task vectors are merged into the encoder."""
        return self.adapter.models if isinstance(self.adapter, TaskVectorOptions) else []

    @model_validator(mode="after")
    def _fits_together(self) -> ModelSection:
        if self.adapter is not None and (self.backbone.train in ("none", 0) or self.backbone.train_front_end):
            raise ValueError(
                "an adapter needs backbone.train: all, or the number of top layers that get it, and no train_front_end"
            )
        if self.second is not None and self.layer_mix == VARAN:
            raise ValueError("second does not go with layer_mix: varan, which has a head for each layer of one encoder")
        if self.second is not None and self.start is not None:
            raise ValueError("second does not go with start, whose heads know one encoder: leave out either")
        if self.layer_mix_initial is not None and self.layer_mix != "weighted_sum":
            raise ValueError("layer_mix_initial goes with layer_mix: weighted_sum; leave it out (null)")
        if self.varan != VaranOptions() and self.layer_mix != VARAN:
            raise ValueError("varan holds options of layer_mix: varan; leave it out, or choose that mix")
        return self


def encoder_name(name: str, checkpoint: str | None) -> str:
    """An encoder's name for people and folders: the last part of its checkpoint's, or that its weights are random.

    >>> encoder_name("wavlm", "microsoft/wavlm-large"), encoder_name("wavlm", None)
    ('wavlm-large', 'wavlm-random-weights')
    >>> encoder_name("whisper", "hub/models--openai--whisper-tiny.en/snapshots/0a1b2c")
    'whisper-tiny.en'
    """
    if checkpoint is None:
        return f"{name}-random-weights"
    path = Path(checkpoint)
    of_cache = path.parent.name == "snapshots"
    last = path.parent.parent.name.rpartition("--")[2] if of_cache else path.name
    return re.sub(r"[^\w.+-]+", "_", last) or name
