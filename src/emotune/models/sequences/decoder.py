"""The decoder of Whisper, of any size, for any encoder: our own forward under the published names.

Reference:
    Radford et al. (2022), Robust Speech Recognition via Large-Scale Weak Supervision, arXiv 2212.04356, section 2.2.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.models.backbones.base import split_heads
from emotune.models.backbones.product import dense

KeysAndValues = tuple[Tensor, Tensor]
"""Keys and values of an attention, each shape (batch, heads, places, features a head)."""

DECODER: Mapping[str, Any] = {
    "vocab_size": 51865,
    "d_model": 384,
    "decoder_layers": 4,
    "decoder_attention_heads": 6,
    "decoder_ffn_dim": 1536,
    "max_target_positions": 448,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
}
"""Keys of a published config.json that are read, with their defaults."""


class Attention(nn.Module):
    """Attention of one sequence to another or to itself; the keys have no bias."""

    def __init__(self, settings: Mapping[str, Any], memory_size: int) -> None:
        super().__init__()
        width = settings["d_model"]
        self.heads: int = settings["decoder_attention_heads"]
        self.dropout: float = settings["attention_dropout"]
        self.k_proj = nn.Linear(memory_size, width, bias=False)
        self.v_proj = nn.Linear(memory_size, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def keys_and_values(self, memory: Tensor) -> KeysAndValues:
        """Of what is attended to, shape (batch, places, memory_size)."""
        key, value = (split_heads(dense(projection, memory), self.heads) for projection in (self.k_proj, self.v_proj))
        return key, value

    def forward(self, hidden: Tensor, attended: KeysAndValues, mask: Tensor | None) -> Tensor:
        """Shape (batch, tokens, features) in and out; mask (batch or 1, 1, tokens or 1, places), True = attended to."""
        query = split_heads(dense(self.q_proj, hidden), self.heads)
        dropout = self.dropout if self.training else 0.0
        found = F.scaled_dot_product_attention(query, *attended, attn_mask=mask, dropout_p=dropout)
        return dense(self.out_proj, found.transpose(1, 2).flatten(2))


class DecoderLayer(nn.Module):
    """Attention to what is written, attention to what is heard, and a feed-forward network, each after its norm."""

    def __init__(self, settings: Mapping[str, Any], memory_size: int) -> None:
        super().__init__()
        width = settings["d_model"]
        self.self_attn = Attention(settings, width)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.encoder_attn = Attention(settings, memory_size)
        self.encoder_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, settings["decoder_ffn_dim"])
        self.fc2 = nn.Linear(settings["decoder_ffn_dim"], width)
        self.final_layer_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(settings["dropout"])
        self.activation_dropout = nn.Dropout(settings["activation_dropout"])

    def forward(
        self,
        hidden: Tensor,
        written: KeysAndValues | None,
        heard: KeysAndValues,
        causal: Tensor | None,
        heard_mask: Tensor | None,
    ) -> tuple[Tensor, KeysAndValues]:
        """Hidden states, shape (batch, tokens, features), and the keys and values of all that is written by then."""
        normed = self.self_attn_layer_norm(hidden)
        key, value = self.self_attn.keys_and_values(normed)
        if written is not None:
            key, value = torch.cat([written[0], key], dim=2), torch.cat([written[1], value], dim=2)
        hidden = hidden + self.dropout(self.self_attn(normed, (key, value), causal))
        hidden = hidden + self.dropout(self.encoder_attn(self.encoder_attn_layer_norm(hidden), heard, heard_mask))
        inner = self.activation_dropout(F.gelu(dense(self.fc1, self.final_layer_norm(hidden))))
        return hidden + self.dropout(dense(self.fc2, inner)), (key, value)


class Decoder(nn.Module):
    """Tokens and what an encoder heard to hidden states of the next tokens; scores are their products with embeddings.

    Args:
        settings: every key of ``DECODER``.
        memory_size: features of the encoder.
    """

    def __init__(self, settings: Mapping[str, Any], *, memory_size: int) -> None:
        super().__init__()
        self.settings = {key: settings[key] for key in DECODER}
        width = settings["d_model"]
        self.embed_tokens = nn.Embedding(settings["vocab_size"], width)
        self.embed_positions = nn.Embedding(settings["max_target_positions"], width)
        self.layers = nn.ModuleList(DecoderLayer(settings, memory_size) for _ in range(settings["decoder_layers"]))
        self.layer_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(settings["dropout"])
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:  # pyright: ignore[reportUnnecessaryComparison]
                nn.init.zeros_(module.bias)

    def heard(self, memory: Tensor) -> list[KeysAndValues]:
        """Keys and values of each layer for what the encoder heard, shape (batch, frames, memory_size)."""
        return [layer.encoder_attn.keys_and_values(memory) for layer in self._layers]

    def forward(
        self,
        embedded: Tensor,
        heard: Sequence[KeysAndValues],
        heard_mask: Tensor | None,
        written: Sequence[KeysAndValues] | None = None,
    ) -> tuple[Tensor, list[KeysAndValues]]:
        """Hidden states of tokens behind those that are written.

        Args:
            embedded: of the tokens, positions left out, shape (batch, tokens, features).
            heard: of ``heard``.
            heard_mask: shape (batch, frames), True = real; None = nothing is padded.
            written: keys and values of each layer for the tokens before; None = there are none.
        """
        before = 0 if written is None else written[0][0].shape[2]
        count = embedded.shape[1]
        hidden = self.dropout(embedded + self.embed_positions.weight[before : before + count])
        places = torch.arange(before + count, device=embedded.device)
        causal = None if count == 1 else places[None, :] <= places[before:, None]
        mask = None if heard_mask is None else heard_mask[:, None, None, :]
        now: list[KeysAndValues] = []
        for number, layer in enumerate(self._layers):
            earlier = None if written is None else written[number]
            hidden, own = layer(hidden, earlier, heard[number], None if causal is None else causal[None, None], mask)
            now.append(own)
        return self.layer_norm(hidden), now

    def scores(self, hidden: Tensor, alphabet: Tensor | slice) -> Tensor:
        """Scores of some tokens of the vocabulary, shape (..., tokens)."""
        return F.linear(hidden, self.embed_tokens.weight[alphabet])

    @property
    def _layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]
