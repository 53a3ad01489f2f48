"""The emotion model: backbone -> layer mix -> pooling -> standardise -> join conditions -> heads.

With VARAN there are pooling and heads for each layer, weighed for each clip. A second stream's features stand beside
the pooled ones.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from emotune.batch import Batch, LayerOutputs, Mixing, Output
from emotune.errors import ConfigError
from emotune.models.adapters import ADAPTERS
from emotune.models.adapters.insertion import Inserted, check_that_all_act
from emotune.models.adapters.lora import merge_lora
from emotune.models.adapters.peft import merge_peft
from emotune.models.adapters.task_vectors import merge_task_vectors
from emotune.models.aggregations import LAYER_MIXES, POOLINGS, VARAN
from emotune.models.aggregations.layer_mix import Last
from emotune.models.aggregations.varan import LayerPosterior
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone, HiddenStates
from emotune.models.backbones.remembered import RememberedStates
from emotune.models.conditions.joined import Joined
from emotune.models.discriminator import GROUP, Discriminator
from emotune.models.heads import HEADS, LABELS
from emotune.models.heads.head import Head
from emotune.models.heads.network import HeadNetwork, LayerHeads, Standardize
from emotune.models.second_stream import SecondStream
from emotune.schema.labels import LabelSpace

_SINCE_THE_FIRST = ("layer_mix", "pooling", "hidden_size", "dropout", "heads")
_LATER = ("varan", "adapter", "conditions", "join", "networks")  # models saved before there were any lack these


class EmotionModel(nn.Module):
    """A pretrained encoder with heads for classes, for named dimensions, or for both.

    Args:
        backbone: an entry of ``BACKBONES``, loaded or with random weights.
        label_space: classes and dimensions that are predicted, in this order.
        layer_mix: an entry of ``LAYER_MIXES``, by name or as ``{name: ..., **options}``, or ``varan``.
        layer_mix_initial: where a learned mix starts, one share a state.
        varan: options of ``LayerPosterior``, for ``varan``.
        pooling: likewise of ``POOLINGS``; ``varan`` pools every layer with it.
        hidden_size: size of the heads' hidden layer; None = linear heads.
        dropout: before each linear layer of the heads.
        adapter: ``name``, an entry of ``ADAPTERS``, its options, and ``layers``, how many top layers get it (None =
            all); None = no adapter.
        conditions: name, an entry of ``CONDITIONS``, to its ``size``, ``dropout`` and, for text, the ``width`` of the
            embedding; what else is there says where the value comes from, and is kept.
        join: likewise of ``JOINS``: how conditions join the pooled sound.
        heads: entries of ``HEADS``; of those of labels, the ones that the label space has something for. None at all
            is a pre-trained model, which says nothing yet.
        networks: head -> options of its ``HeadNetwork`` that differ, such as those of a published model.
        second: another encoder, whose features are joined to the pooled ones; not with ``varan``.

    Dimensions come out on the unit scale, where 0 and 1 are the ends of the annotation scale. ``remembered`` may stand
    in for a frozen encoder.
    """

    remembered: RememberedStates | None = None

    def __init__(
        self,
        backbone: Backbone,
        label_space: LabelSpace,
        *,
        layer_mix: str | Mapping[str, Any] = "weighted_sum",
        layer_mix_initial: Sequence[float] | None = None,
        varan: Mapping[str, Any] | None = None,
        pooling: str | Mapping[str, Any] = "mean_std",
        hidden_size: int | None = None,
        dropout: float = 0.0,
        adapter: Mapping[str, Any] | None = None,
        conditions: Mapping[str, Mapping[str, Any]] | None = None,
        join: str | Mapping[str, Any] = "concat",
        heads: Sequence[str] = LABELS,
        networks: Mapping[str, Mapping[str, Any]] | None = None,
        second: SecondStream | None = None,
    ) -> None:
        super().__init__()
        if heads and not label_space.classes and not label_space.dimensions:
            raise ConfigError("A model needs classes or dimensions to predict, and has neither.")
        self.label_space = label_space
        contracts = {name: HEADS[name](label_space) for name in heads}
        self.learns: dict[str, Head] = {name: head for name, head in contracts.items() if head.size}
        """the contracts of its heads"""
        self.options: dict[str, Any] = {
            "layer_mix": layer_mix,
            "varan": varan,
            "pooling": pooling,
            "hidden_size": hidden_size,
            "dropout": dropout,
            "adapter": adapter,
            "conditions": conditions,
            "join": join,
            "heads": list(self.learns),
            "networks": networks,
        }
        assert self.options.keys() == {*_SINCE_THE_FIRST, *_LATER}  # or ``from_config`` would lose one
        _refuse_unknown_heads(networks or {}, self.learns)
        _check_finite(self.options, "")
        if second is not None and layer_mix == VARAN:
            raise ConfigError(
                "varan has heads for layers of one encoder: choose another layer mix, or no second stream."
            )
        self.backbone = backbone
        self.second = second
        self.discriminator: Discriminator | None = None
        """of training alone, see ``Discriminator``"""
        self.pooling = POOLINGS.make(pooling, backbone.hidden_size)
        features = self.pooling.output_size + (0 if second is None else second.output_size)
        layers = backbone.num_layers
        if layer_mix == VARAN:
            self.layer_mix = LayerPosterior(layers, features, **(varan or {}))
        else:
            self.layer_mix = LAYER_MIXES.make(layer_mix, layers + 1, backbone.hidden_size, initial=layer_mix_initial)
        self.standardize = Standardize([layers, features] if layer_mix == VARAN else [features])
        self.joined = Joined(features, conditions, join) if conditions else None
        joined = features if self.joined is None else self.joined.output_size
        self.heads = nn.ModuleDict(
            {
                name: self._network(name, joined if head.hears_conditions else features, head.size)
                for name, head in self.learns.items()
            }
        )
        self._inserted = self._insert_adapter() if adapter else None
        self.adapter_parameters = self._names_of(self._inserted)

    @property
    def streams(self) -> list[EmotionModel | SecondStream]:
        """What has an encoder of its own: the model, and its second stream where it has one."""
        return [self] if self.second is None else [self, self.second]

    @property
    def encoders(self) -> list[Backbone]:
        """Its encoders: one, or two."""
        return [stream.backbone for stream in self.streams]

    def ask_for_what_is_mixed(self) -> None:
        """Lets its encoders give the last state alone where the layer mix takes no other."""
        for stream in self.streams:
            stream.backbone.last_alone = isinstance(stream.layer_mix, Last)

    def network_options(self, name: str) -> dict[str, Any]:
        """Options of a head's ``HeadNetwork``."""
        common = {option: self.options[option] for option in ("hidden_size", "dropout")}
        return {**common, **(self.options["networks"] or {}).get(name, {})}

    def _network(self, name: str, features: int, outputs: int) -> HeadNetwork | LayerHeads:
        options = self.network_options(name)
        if self.options["layer_mix"] == VARAN:
            return LayerHeads(self.backbone.num_layers, features, outputs, **options)
        return HeadNetwork(features, outputs, **options)

    def forward(self, batch: Batch) -> Output:
        mixing = batch.mixing
        features = self.pooled(batch.waveforms, batch.mask, mixing if mixing and mixing.at == "states" else None)
        features = mixing.of(features) if mixing and mixing.at == "features" else features
        return self.of_features(features, batch.conditions)

    def pooled(self, waveforms: Tensor, mask: Tensor, mixing: Mixing | None = None) -> Tensor:
        """Pooled features of padded clips, both of shape (batch, samples): (batch, features).

        Where every layer has its own head they have shape (batch, layers, features). ``mixing`` is of the states.
        """
        states = (self.remembered or self.backbone)(waveforms, mask)
        features = self.pooled_states(states if mixing is None else states.mixed(mixing))
        if self.second is None:
            return features
        states = self.second.states(waveforms, mask)
        return torch.cat([features, self.second.pooled(states if mixing is None else states.mixed(mixing))], dim=1)

    def pooled_states(self, states: HiddenStates) -> Tensor:
        """Pooled features of the first encoder's states, as ``pooled`` gives them where there is no second."""
        if isinstance(self.layer_mix, LayerPosterior):
            return torch.stack([self.pooling(state, states.mask) for state in states.states[1:]], dim=1)
        return self.pooling(self.layer_mix(states), states.mask)

    def of_features(self, features: Tensor, conditions: Mapping[str, Tensor]) -> Output:
        """Output for pooled features as ``pooled`` gives them, with conditions by name, each (batch, width)."""
        if isinstance(self.layer_mix, LayerPosterior):
            return self._by_layer(features, self.layer_mix, conditions)
        return Output(self._heads_say(self.standardize(features), conditions), features)

    def _heads_say(self, standard: Tensor, conditions: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scores of each head from standardised features."""
        joined = standard if self.joined is None else self.joined(standard, conditions)
        said = {
            name: self.heads[name](joined if head.hears_conditions else standard) for name, head in self.learns.items()
        }
        return said if self.discriminator is None else {**said, GROUP: self.discriminator(standard)}

    def _by_layer(self, features: Tensor, posterior_of: LayerPosterior, conditions: Mapping[str, Tensor]) -> Output:
        """sum_l q(l | clip) log softmax(logits_l) of the classes, and the expected dimensions (these are ours)."""
        standard = self.standardize(features)
        posterior = posterior_of(self.standardize.over_layers(features))
        of_layers = self._heads_say(standard, conditions)

        def expected(name: str) -> Tensor:
            return (posterior[:, :, None] * self.learns[name].of_layer(of_layers[name])).sum(dim=1)

        learning = {name: scores for name, scores in of_layers.items() if self.learns[name].is_learnt_by_layer}
        said = {name: expected(name) for name in learning}
        penalty = posterior_of.penalty(posterior)  # here, for gradients are summed in the order of these terms
        said |= {name: expected(name) for name in of_layers if name not in learning}
        return Output(said, features, LayerOutputs(posterior, learning), penalty)

    def _insert_adapter(self) -> Inserted:
        options = dict(self.options["adapter"])
        _check_keys(options, ("name",), "adapter")
        name, top = options.pop("name"), options.pop("layers", None)
        layers = self.backbone.layer_modules()
        if top is not None and not 1 <= top <= len(layers):
            raise ConfigError(f"An adapter in {top} top layers was asked, the backbone has {len(layers)}.")
        return ADAPTERS[name](self.backbone, layers[len(layers) - (top or len(layers)) :], **options)

    def _names_of(self, inserted: Inserted | None) -> frozenset[str]:
        """Names of the parameters that an adapter trains."""
        trained = {id(parameter) for parameter in inserted.trained} if inserted else set()
        return frozenset(name for name, parameter in self.named_parameters() if id(parameter) in trained)

    def check_adapter(self) -> None:
        """See that every adapter changes the encoder's output.

        Raises:
            ConfigError: naming those that do not.
        """
        if self._inserted is not None:
            check_that_all_act(self.backbone, self._inserted)

    def merge_adapter(self) -> None:
        """Fold into the encoder's own weights what can be; BitFit's biases are its own already."""
        adapter = self.options["adapter"]
        merges = {"lora": merge_lora, "peft": merge_peft, "task_vectors": merge_task_vectors}
        if adapter is not None and adapter["name"] in (*merges, "bitfit"):
            if adapter["name"] in merges:
                merges[adapter["name"]](self.backbone)
            self.options["adapter"] = self._inserted = None
            self.adapter_parameters = frozenset()

    def choose_trainable(self, *, layers: int | str, front_end: bool) -> None:
        """Chooses the parameters of the backbone that train; mix, pooling and heads always do.

        With an adapter it is that alone.

        Args:
            layers: ``all`` = the whole encoder behind the front end, ``none``, or the number of top layers.
            front_end: whether the convolutional front end trains too; only together with ``all``.

        Raises:
            ConfigError: for more layers than there are, or a front end below frozen layers.
        """
        choose_layers(self.backbone, layers=layers, front_end=front_end)
        if not self.adapter_parameters:
            return
        self.backbone.requires_grad_(False)
        for name, parameter in self.named_parameters():
            if name in self.adapter_parameters:
                parameter.requires_grad_(True)

    def train(self, mode: bool = True) -> EmotionModel:
        """As ``nn.Module.train``, but what is frozen stays in evaluation mode: no dropout in frozen layers."""
        super().train(mode)
        for encoder in self.encoders if mode else []:
            layers = encoder.layer_modules()
            if not _trains(layers[0]):
                encoder.eval()
            for module in [*layers, *encoder.front_end()]:
                module.train(_trains(module))
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """Everything but the weights, as plain JSON; ``from_config`` builds the model again."""
        second = {} if self.second is None else {"second": self.second.settings}
        return {"backbone": self.backbone.config, **second, **self.options, **self.label_space.to_json()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> EmotionModel:
        """Builds the model with random weights.

        Raises:
            ConfigError: for unknown names or values.
        """
        _check_keys(config, ("backbone", "classes", "dimensions", *_SINCE_THE_FIRST), "config")
        return cls(
            _stored_backbone(config["backbone"]),
            LabelSpace.from_json(config),
            second=_stored_second(config["second"]) if config.get("second") else None,
            **{name: config[name] for name in (*_SINCE_THE_FIRST, *_LATER) if name in config},
        )


def _stored_backbone(config: Any) -> Backbone:
    kind = config.get("model_type") if isinstance(config, dict) else None
    backbone = BACKBONES[str(kind)]
    _check_keys(config, ("model_type", *backbone.published_defaults), "config of the backbone")
    return backbone.from_config(config)


def _stored_second(config: Mapping[str, Any]) -> SecondStream:
    _check_keys(config, ("backbone", "layer_mix", "size", "normalizes"), "config of the second stream")
    options = dict(config)
    return SecondStream(_stored_backbone(options.pop("backbone")), **options)


def choose_layers(backbone: Backbone, *, layers: int | str, front_end: bool, key: str = "model.backbone") -> None:
    """Chooses the parameters of an encoder that train; see ``EmotionModel.choose_trainable``.

    Raises:
        ConfigError: for more layers than there are, or a front end below frozen layers, under a key of the recipe.
    """
    own = backbone.layer_parameters()
    if front_end and layers != "all":
        raise ConfigError(f"{key}.train_front_end needs {key}.train: all.")
    if isinstance(layers, int) and layers > len(own):
        raise ConfigError(f"{key}.train: {layers} top layers asked, the backbone has {len(own)}.")
    backbone.requires_grad_(layers == "all")
    if isinstance(layers, int):
        for parameter in [parameter for layer in own[len(own) - layers :] for parameter in layer]:
            parameter.requires_grad_(True)
    if not front_end:
        for module in backbone.front_end():
            module.requires_grad_(False)


def _refuse_unknown_heads(networks: Mapping[str, Any], learns: Mapping[str, Head]) -> None:
    unknown = [name for name in networks if name not in learns]
    if unknown:
        raise ConfigError(f"networks: the model has no head '{unknown[0]}'; it has {', '.join(learns)}.")


def _check_keys(config: Mapping[str, Any], keys: Sequence[str], what: str) -> None:
    """A default in place of a lost key would be a guess at what the weights were trained with."""
    missing = [key for key in keys if key not in config]
    if missing:
        raise ConfigError(f"The {what} lacks {', '.join(missing)}.")


def _check_finite(value: object, path: str) -> None:
    """A dropout of NaN passes every comparison, and then every output is NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{path} is {value}, expected a finite number.")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_finite(inner, f"{path}.{key}".removeprefix("."))


def _trains(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())
