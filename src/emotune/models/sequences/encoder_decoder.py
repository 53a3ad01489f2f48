"""Encoder-decoder: a speech encoder, a decoder that writes, and the tokens in which it does."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from emotune.errors import ConfigError
from emotune.models.backbones.base import Backbone
from emotune.models.sequences.decoder import Decoder, KeysAndValues
from emotune.models.sequences.spelling import Spelling


@dataclass(frozen=True)
class Heard:
    """Memory that a decoder attends to.

    Args:
        states: the encoder's last states, shape (batch, frames, features).
        mask: shape (batch, frames), True = real; None = nothing is padded.
        attended: keys and values of each decoder layer.
    """

    states: Tensor
    mask: Tensor | None
    attended: Sequence[KeysAndValues]

    @property
    def frames(self) -> Tensor:
        """Real frames of each clip, shape (batch,)."""
        if self.mask is None:
            return torch.full((len(self.states),), self.states.shape[1], device=self.states.device)
        return self.mask.sum(dim=1)


class EncoderDecoder(nn.Module):
    """A speech encoder with a decoder on top.

    Args:
        backbone: the encoder; its last state is what the decoder hears.
        decoder: its memory is as wide as the encoder's states.
        spelling: of the decoder's tokens of text.
        prompt: tokens that come before an answer; a task's own token takes the place of the last one.
        end: the token that ends an answer.
    """

    def __init__(
        self, backbone: Backbone, decoder: Decoder, spelling: Spelling, *, prompt: Sequence[int], end: int
    ) -> None:
        super().__init__()
        most = decoder.settings["vocab_size"]
        if not prompt or not all(0 <= token < most for token in (*prompt, end)):
            raise ConfigError(f"prompt {list(prompt)} and end {end} must be tokens below vocab_size = {most}.")
        self.backbone, self.decoder, self.spelling = backbone, decoder, spelling
        backbone.last_alone = True
        self.prompt, self.end = tuple(prompt), end

    def hear(self, waveforms: Tensor, mask: Tensor) -> Heard:
        """Encodes a padded batch; both of shape (batch, samples)."""
        found = self.backbone(waveforms, mask)
        states = found.states[-1]
        frames = None if bool(found.mask.all()) else found.mask
        return Heard(states, frames, self.decoder.heard(states))

    def embedded(self, tokens: Tensor) -> Tensor:
        """Embeddings of tokens, (...) -> (..., features)."""
        return self.decoder.embed_tokens(tokens)

    def prompted(self, token: Tensor | None, batch: int) -> Tensor:
        """Embeddings of the prompt, shape (batch, tokens, features), with a task's token in the last place."""
        places = torch.tensor(self.prompt, device=self.decoder.embed_tokens.weight.device)
        embedded = self.embedded(places)
        if token is not None:
            embedded = torch.cat([embedded[:-1], token[None]])
        return embedded[None].expand(batch, -1, -1)
