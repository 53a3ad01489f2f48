"""The emotion model: backbone -> layer mix -> pooling -> standardise -> heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from emotune.batch import Batch, Output
from emotune.errors import ConfigError
from emotune.labels import LabelSpace
from emotune.models.aggregations import LAYER_MIXES, POOLINGS
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone
from emotune.models.heads import Head, Standardize


class EmotionModel(nn.Module):
    """A pretrained encoder with heads for classes, for named dimensions, or for both.

    Args:
        backbone: an entry of ``BACKBONES``, loaded or with random weights.
        label_space: classes and dimensions that are predicted, in this order.
        layer_mix: an entry of ``LAYER_MIXES``.
        layer_mix_initial: where a learned mix starts, one share a state.
        pooling: an entry of ``POOLINGS``.
        hidden_size: size of the heads' hidden layer; None = linear heads.
        dropout: before each linear layer of the heads.

    Dimensions come out on the unit scale, where 0 and 1 are the ends of the annotation scale.
    """

    def __init__(
        self,
        backbone: Backbone,
        label_space: LabelSpace,
        *,
        layer_mix: str = "weighted_sum",
        layer_mix_initial: Sequence[float] | None = None,
        pooling: str = "mean_std",
        hidden_size: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not label_space.classes and not label_space.dimensions:
            raise ConfigError("A model needs classes or dimensions to predict, and has neither.")
        self.label_space = label_space
        self.options = {"layer_mix": layer_mix, "pooling": pooling, "hidden_size": hidden_size, "dropout": dropout}
        self.backbone = backbone
        self.layer_mix = LAYER_MIXES[layer_mix](backbone.num_layers + 1, initial=layer_mix_initial)
        self.pooling = POOLINGS[pooling](backbone.hidden_size)
        features = self.pooling.output_size
        self.standardize = Standardize(features)
        classes, dimensions = len(label_space.classes), len(label_space.dimensions)
        self.class_head = Head(features, classes, hidden_size=hidden_size, dropout=dropout) if classes else None
        self.dimension_head = (
            Head(features, dimensions, hidden_size=hidden_size, dropout=dropout) if dimensions else None
        )

    def forward(self, batch: Batch) -> Output:
        states = self.backbone(batch.waveforms, batch.mask)
        features = self.pooling(self.layer_mix(states), states.mask)
        standard = self.standardize(features)
        logits = None if self.class_head is None else self.class_head(standard)
        dimensions = None if self.dimension_head is None else self.dimension_head(standard)
        return Output(logits, dimensions, features)

    def choose_trainable(self, *, layers: int | str, front_end: bool) -> None:
        """Choose what of the backbone trains; mix, pooling and heads always do.

        Args:
            layers: ``all`` = the whole encoder behind the front end, ``none``, or the number of top layers.
            front_end: whether the convolutional front end trains too; only together with ``all``.

        Raises:
            ConfigError: for more layers than there are, or a front end below frozen layers.
        """
        modules = self.backbone.layer_modules()
        if front_end and layers != "all":
            raise ConfigError("model.backbone.train_front_end needs model.backbone.train: all.")
        if isinstance(layers, int) and layers > len(modules):
            raise ConfigError(f"model.backbone.train: {layers} top layers asked, the backbone has {len(modules)}.")
        self.backbone.requires_grad_(layers == "all")
        if isinstance(layers, int):
            for module in modules[len(modules) - layers :]:
                module.requires_grad_(True)
        if not front_end:
            for module in self.backbone.front_end():
                module.requires_grad_(False)

    def train(self, mode: bool = True) -> EmotionModel:
        """As ``nn.Module.train``, but what is frozen stays in evaluation mode: no dropout in frozen layers."""
        super().train(mode)
        if mode:
            layers = self.backbone.layer_modules()
            if not _trains(layers[0]):
                self.backbone.eval()
            for module in [*layers, *self.backbone.front_end()]:
                module.train(_trains(module))
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """Everything but the weights, as plain JSON; ``from_config`` builds the model again."""
        return {"backbone": self.backbone.config, **self.options, **self.label_space.to_json()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> EmotionModel:
        """Build the model with random weights.

        Raises:
            ConfigError: for unknown names or values.
        """
        options = ("layer_mix", "pooling", "hidden_size", "dropout")
        _check_keys(config, ("backbone", "classes", "dimensions", *options), "config")
        kind = config["backbone"].get("model_type") if isinstance(config["backbone"], dict) else None
        backbone_class = BACKBONES[str(kind)]
        _check_keys(config["backbone"], ("model_type", *backbone_class.published_defaults), "config of the backbone")
        backbone = backbone_class.from_config(config["backbone"])
        return cls(backbone, LabelSpace.from_json(config), **{name: config[name] for name in options})


def _check_keys(config: Mapping[str, Any], keys: Sequence[str], what: str) -> None:
    """A default in place of a lost key would be a guess at what the weights were trained with."""
    missing = [key for key in keys if key not in config]
    if missing:
        raise ConfigError(f"The {what} lacks {', '.join(missing)}.")


def _trains(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())
