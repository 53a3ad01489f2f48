"""Contract of every backbone: waveforms and mask in, the raw states of all layers and a frame mask out."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from emotune.batch import Mixing
from emotune.errors import AudioError, ConfigError
from emotune.models.backbones.parts_on_top import left_out, prefix_of_encoder

MOST_LAYERS = 1000  # far beyond any published encoder: even without weights a layer is work


@dataclass(frozen=True)
class HiddenStates:
    """The states of an encoder.

    Args:
        states: layers + 1 tensors, each shape (batch, frames, features): first the input of the first layer, then each
            layer's raw output. What stands in padded frames is undefined.
        mask: shape (batch, frames), True = real.
    """

    states: tuple[Tensor, ...]
    mask: Tensor

    def mixed(self, mixing: Mixing) -> HiddenStates:
        """States of each clip mixed frame by frame with its partner's, which are repeated or cut to its length."""
        frames = torch.arange(self.mask.shape[1], device=self.mask.device)
        own = frames[None, :] % self.mask.sum(dim=1)[mixing.partners][:, None]
        rows = mixing.partners[:, None]
        share = mixing.share
        return HiddenStates(tuple(share * state + (1 - share) * state[rows, own] for state in self.states), self.mask)


class Backbone(nn.Module, ABC):
    """A speech encoder at 16 kHz, cut after any number of its layers.

    A clip gives the same states alone and in a batch, whatever stands in the padding, to the rounding of float32.
    State k is what the full model computes at layer k, without a norm after the last layer that is kept; where the
    config has `final_norm`, all layers are kept and the last state has passed it, as a published `last_hidden_state`.

    Attributes:
        model_type: the `model_type` of the published config.json.
        published_defaults: every config key that is read, with the value it has where config.json leaves it out (the
            published one, but for `layerdrop`: a layer is dropped only where a config asks for it).
        anchor: the weight of the encoder by which its prefix in a published file is found.
        layers_key: the config key that holds the number of layers.
        obeys_do_normalize: whether `do_normalize` of a published preprocessor_config.json says what `normalize` is.
        sublayer_ends: the linear layer that ends each sublayer of a transformer layer, where adapters go.
        hidden_size: features of each state.
        num_layers: layers kept.
        frame_rate_hz: frames a second.
        normalize: what the caller does to each clip beforehand. "clip" = (x - mean) / sqrt(variance + 1e-7) over the
            clip's own samples, "none" = nothing.
        min_samples: the shortest clip that gives a frame.
        max_samples: the longest clip, None = any.
        window_samples: a longer clip is encoded in windows of so many samples, one after the other; None = whole.
        layerdrop: probability that training leaves a layer out.
        recompute_layers: whether a forward with a graph keeps only the input of each transformer layer, and the
            backward pass computes the layer again: less memory, about a third more work.
        last_alone: whether a forward gives the last state and no other, where nothing needs them: less memory.
    """

    model_type: ClassVar[str]
    published_defaults: ClassVar[Mapping[str, Any]]
    anchor: ClassVar[str]
    layers_key: ClassVar[str]
    sublayer_ends: ClassVar[Mapping[str, str]]
    obeys_do_normalize: ClassVar[bool] = False

    hidden_size: int
    num_layers: int
    frame_rate_hz: float
    normalize: Literal["clip", "none"]
    min_samples: int
    max_samples: int | None
    window_samples: int | None = None
    layerdrop: float = 0.0
    recompute_layers: bool = False
    last_alone: bool = False

    def __init__(self, settings: Mapping[str, Any], *, layers: int | None = None) -> None:
        """Called by `from_config`: settings must hold every key of `published_defaults`, checked by `read_config`.

        Raises:
            ConfigError: if more layers are asked than there are, or a final norm behind fewer than all.
        """
        super().__init__()
        available = settings[self.layers_key]
        self.num_layers = available if layers is None else layers
        if not 1 <= self.num_layers <= available:
            raise ConfigError(
                f"{self.num_layers} layers were asked of a {self.model_type} model that has {available}. "
                f"Choose 1 to {available}, or leave the number out to keep all."
            )
        self._cut_layers = range(self.num_layers, available)
        self._settings = {key: settings[key] for key in self.published_defaults} | {self.layers_key: self.num_layers}
        if settings.get("final_norm"):
            if self._cut_layers:
                raise ConfigError(
                    f"final_norm belongs behind layer {available}, and {self.num_layers} are kept."
                    " Leave out layers or final_norm."
                )
            self._settings["final_norm"] = True

    @classmethod
    def read_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """Picks the known keys of a published config.json, fills in defaults and checks every value.

        Raises:
            ConfigError: naming every fault; keys that are not known are ignored.
        """
        found = config.get("model_type", cls.model_type)
        faults = [] if found == cls.model_type else [f"model_type is {found!r}, expected {cls.model_type!r}"]
        settings = {key: config.get(key, default) for key, default in cls.published_defaults.items()}
        for key, default in cls.published_defaults.items():
            expected = _what_is_wrong(settings[key], default)
            if expected:
                faults.append(f"{key} is {settings[key]!r}, expected {expected}")
        if not faults and settings[cls.layers_key] > MOST_LAYERS:
            faults.append(f"{cls.layers_key} is {settings[cls.layers_key]}, expected at most {MOST_LAYERS}")
        settings["final_norm"] = config.get("final_norm", False)
        if not isinstance(settings["final_norm"], bool):
            faults.append(f"final_norm is {settings['final_norm']!r}, expected true or false")
        faults = faults or cls._contradictions(settings)
        if faults:
            listed = "\n".join(f"  {fault}" for fault in faults)
            raise ConfigError(
                f"This is no usable {cls.model_type} config:\n{listed}\nCompare it with the published config.json."
            )
        return settings

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, layers: int | None = None) -> Self:
        """Builds with random weights from the keys of a published config.json; `layers` keeps only the first ones.

        Raises:
            ConfigError: if a value is wrong or unsupported, or more layers are asked than there are.
        """
        return cls(cls.read_config(config), layers=layers)

    @property
    def config(self) -> dict[str, Any]:
        """All that `from_config` needs to build this again, weights aside; can be written as JSON."""
        return {"model_type": self.model_type} | self._settings

    @classmethod
    @abstractmethod
    def _contradictions(cls, settings: Mapping[str, Any]) -> list[str]:
        """Faults of values that are each of the right kind: unsupported features, sizes that do not fit."""

    @abstractmethod
    def forward(self, waveforms: Tensor, mask: Tensor) -> HiddenStates:
        """Encodes a padded batch.

        Args:
            waveforms: 16 kHz, shape (batch, samples), float32, normalised as `normalize` says.
            mask: shape (batch, samples), True = real; clips begin at sample 0 and have no gaps.

        Raises:
            AudioError: if a clip is shorter than `min_samples` or longer than `max_samples`.
        """

    @abstractmethod
    def frame_count(self, samples: Tensor) -> Tensor:
        """Frames that clips of so many samples give, same shape as `samples`."""

    @abstractmethod
    def front_end(self) -> list[nn.Module]:
        """The convolutions before the transformer, which fine-tuning usually freezes."""

    def position_layer(self) -> nn.Module | None:
        """The layer whose output is added to the frames before the first layer, to tell where each is.

        Its first input has shape (batch, frames, features), its output that shape or (frames, features). None where
        nothing is added.
        """
        return None

    def remember_front_end(self, *, most_gb: float) -> None:
        """Keeps what the front end gives for each clip on a CPU, where it is slow; it must be frozen from now on.

        By itself a backbone keeps nothing.
        """

    @abstractmethod
    def layer_modules(self) -> list[nn.Module]:
        """The transformer layers that are kept, in order."""

    @property
    def final_norm(self) -> nn.Module | None:
        """The norm that the last state has passed, where the config has `final_norm`."""
        return None

    def layer_parameters(self) -> list[list[nn.Parameter]]:
        """Those of each transformer layer, in order; the final norm's are with the last one's."""
        own = [list(layer.parameters()) for layer in self.layer_modules()]
        own[-1] += [] if self.final_norm is None else self.final_norm.parameters()
        return own

    @abstractmethod
    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Renames published weights to this model's names and drops those it is known not to keep, and only that."""

    def add_weights_to(self, feed: Callable[[bytes], object]) -> None:
        """Feeds every weight, with its name, to the update of a hash that tells encoders apart."""
        for name, tensor in sorted(self.state_dict().items()):
            feed(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())

    def _encoder_of(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights without the encoder's prefix and without the known parts on top of it."""
        dropped = {name for names in left_out(state, self.anchor).values() for name in names}
        kept = {name: tensor for name, tensor in state.items() if name not in dropped}
        prefix = prefix_of_encoder(kept, self.anchor) or ""
        return {name.removeprefix(prefix): tensor for name, tensor in kept.items()}

    def _is_cut(self, name: str, layers_prefix: str) -> bool:
        """Tells if a weight belongs to one of the config's layers above the last one that is kept."""
        index = name.removeprefix(layers_prefix).split(".")[0]
        return name.startswith(layers_prefix) and index.isdecimal() and int(index) in self._cut_layers

    def states_of(
        self, layers: Iterable[nn.Module], hidden: Tensor, *inputs: Any, first_stays: bool = False
    ) -> list[Tensor]:
        """Input of the first transformer layer and the output of each; with ``last_alone`` the last of them.

        Args:
            layers: each takes a state and the inputs.
            hidden: input of the first layer.
            inputs: of every layer beside the state.
            first_stays: whether ``layerdrop`` spares the first layer.
        """
        drop = self.layerdrop if self.training else 0.0
        states = [hidden]
        for index, layer in enumerate(layers):
            if drop == 0 or (first_stays and index == 0) or float(torch.rand(())) >= drop:
                hidden = _output_of(layer, hidden, *inputs, recompute=self.recompute_layers)
            if self.last_alone:
                states.clear()
            states.append(hidden)
        return states

    def _lengths(self, mask: Tensor) -> tuple[Tensor, bool]:
        """Samples of each clip, shape (batch,), and whether any clip is padded. Refuses clips of impossible length."""
        lengths = mask.sum(dim=1)
        if torch.compiler.is_compiling():
            return lengths, True
        counts: list[int] = lengths.tolist()
        for clip, count in enumerate(counts):
            if count < self.min_samples:
                raise AudioError(
                    f"Clip {clip} of the batch has {count} samples at 16 kHz; {self.model_type} needs at least "
                    f"{self.min_samples} for one frame. Leave the clip out or pad it."
                )
            if self.max_samples is not None and count > self.max_samples:
                raise AudioError(
                    f"Clip {clip} of the batch lasts {count / 16000:.2f} s; {self.model_type} takes at most "
                    f"{self.max_samples / 16000:g} s. Cut it into shorter segments."
                )
        return lengths, min(counts) < mask.shape[1]


def _output_of(layer: nn.Module, *inputs: Any, recompute: bool) -> Tensor:
    if recompute and torch.is_grad_enabled():
        return checkpoint(layer, *inputs, use_reentrant=False)
    return layer(*inputs)


def mask_of(lengths: Tensor, size: int) -> Tensor:
    """Mask of clips that begin at 0, shape (batch, size), True = real."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


def split_heads(projected: Tensor, heads: int) -> Tensor:
    """Shape (batch, frames, features) to (batch, heads, frames, features per head)."""
    return projected.unflatten(2, (heads, -1)).transpose(1, 2)


def _what_is_wrong(value: object, default: object) -> str | None:
    """Names the expected kind where a value is not of the default's kind; None where it is."""

    def is_count(number: object) -> bool:
        return isinstance(number, int) and not isinstance(number, bool) and number >= 1

    if isinstance(default, bool):
        return None if isinstance(value, bool) else "true or false"
    if isinstance(default, str):
        return None if isinstance(value, str) else "a word"
    if isinstance(default, int):
        return None if is_count(value) else "a whole number from 1"
    if isinstance(default, float):
        is_share = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1
        return None if is_share else "a number in [0, 1)"
    is_list = isinstance(value, list | tuple) and len(value) > 0 and all(map(is_count, value))
    return None if is_list else "a list of whole numbers from 1"
