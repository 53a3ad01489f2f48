"""Decoding: of a label the likeliest of all, of anything longer the likeliest next token among the legal ones."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from emotune.models.sequences.grammar import FreeText, Grammar, Writing
from emotune.models.sequences.sequence_model import SequenceModel, alphabet_of

_MOST_TOKENS = 100


@dataclass(frozen=True)
class Answers:
    """Answers to a batch.

    Args:
        texts: one a clip.
        probabilities: of all labels, shape (clips, labels), summing to one; None where the task writes no label.
    """

    texts: Sequence[str]
    probabilities: Tensor | None = None


def answers(model: SequenceModel, name: str, waveforms: Tensor, mask: Tensor) -> Answers:
    """Writes the answers of a task; each is legal.

    Args:
        model: in evaluation mode.
        name: of the task.
        waveforms: shape (batch, samples).
        mask: shape (batch, samples), True = real.
    """
    model.parts_of(name)
    spelt = model.tasks[name]
    if spelt.task.writes == "label":
        probabilities = label_probabilities(model, name, waveforms, mask)
        return Answers([spelt.task.items[place] for place in probabilities.argmax(dim=1).tolist()], probabilities)
    found = written(model, name, spelt.grammar, spelt.task.most_tokens, waveforms, mask)
    return Answers([spelt.answer(tokens) for tokens in found])


@torch.no_grad()
def label_probabilities(model: SequenceModel, name: str, waveforms: Tensor, mask: Tensor) -> Tensor:
    """Probability of each label: the product of those of its tokens among the legal ones; shape (clips, labels).

    They sum to one, since every legal sequence is a label.
    """
    spelt = model.tasks[name]
    spelt_labels = [torch.tensor(spelt.tokens(label)) for label in spelt.task.items]
    tokens = pad_sequence(spelt_labels, batch_first=True, padding_value=-1).to(waveforms.device)
    columns: list[Tensor] = []
    with model.doing(name) as token:
        heard = model.base.hear(waveforms, mask)
        for label in tokens:  # one after another: all at once would hold what was heard as often as there are labels
            row = label[label >= 0][None].expand(len(waveforms), -1)
            output = model.output(name, token, heard, row, row)
            chosen = output.scores.log_softmax(dim=-1).gather(2, output.truth[:, :, None])
            columns.append(chosen[:, :, 0].sum(dim=1))
    return torch.stack(columns, dim=1).softmax(dim=1)


def transcripts(model: SequenceModel, waveforms: Tensor, mask: Tensor) -> list[str]:
    """Writes what the base hears by itself, without any task; arguments as for ``answers``."""
    base = model.base
    grammar = FreeText(base.spelling.texts, end=base.end)
    return [
        base.spelling.decode(tokens).strip() for tokens in written(model, None, grammar, _MOST_TOKENS, waveforms, mask)
    ]


@torch.no_grad()
def written(
    model: SequenceModel, name: str | None, grammar: Grammar, most_tokens: int, waveforms: Tensor, mask: Tensor
) -> list[list[int]]:
    """Tokens of each clip's answer, the end left out; name None = without any task."""
    base, alphabet = model.base, alphabet_of(grammar, waveforms.device)
    writings = [Writing(grammar, most_tokens) for _ in range(len(waveforms))]
    with model.doing(name) as token:
        heard = base.hear(waveforms, mask)
        embedded, before = base.prompted(token, len(waveforms)), None
        while not all(writing.ended for writing in writings):
            hidden, before = base.decoder(embedded, heard.attended, heard.mask, before)
            scores = base.decoder.scores(hidden[:, -1], alphabet).masked_fill(~_legal(writings, grammar), -torch.inf)
            chosen = [grammar.alphabet[place] for place in scores.argmax(dim=1).tolist()]
            for writing, following in zip(writings, chosen, strict=True):
                writing.add(following)
            embedded = base.embedded(torch.tensor(chosen, device=waveforms.device)[:, None])
    return [writing.tokens for writing in writings]


def _legal(writings: Sequence[Writing], grammar: Grammar) -> Tensor:
    """Legal tokens of each sequence, shape (sequences, alphabet)."""
    place_of = grammar.place_of
    legal = torch.zeros(len(writings), len(grammar.alphabet), dtype=torch.bool)
    for row, writing in enumerate(writings):
        legal[row, [place_of[token] for token in writing.allowed]] = True
    return legal
