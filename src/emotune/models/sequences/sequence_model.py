"""Sequence model: one encoder-decoder, and a token and an adapter for each task that it does."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from emotune.batch import Batch
from emotune.errors import ConfigError
from emotune.models.sequences import task_adapters
from emotune.models.sequences.encoder_decoder import EncoderDecoder, Heard
from emotune.models.sequences.grammar import FreeText, Grammar
from emotune.models.sequences.spoken_task import SpeltTask, SpokenTask
from emotune.models.sequences.task_adapters import Attentive, Bottleneck, Change
from emotune.registry import unknown_name_message

TASK, TOKENS, CTC = "task", "tokens", "ctc"
"""Names of a batch's targets: the task's number, the answer's tokens, and CTC's symbols, each filled up with NaN."""


@dataclass(frozen=True)
class TaskOutput:
    """Output for the clips of one task in a batch.

    Args:
        scores: of the tokens of its alphabet after each token of the answer, shape (clips, tokens, alphabet); minus
            infinity where a token is not legal.
        truth: places in the alphabet, shape (clips, tokens), -1 behind the end.
        symbols: log-probabilities of CTC's symbols, shape (frames, clips, symbols); None without CTC.
        frames: real frames of each clip, shape (clips,).
        targets: CTC's symbols, shape (clips, symbols), 0 behind the end.
    """

    scores: Tensor
    truth: Tensor
    symbols: Tensor | None
    frames: Tensor
    targets: Tensor


class TaskParts(nn.Module):
    """Parts of a task: its token, its adapter, and an output for CTC."""

    def __init__(self, task: SpokenTask, widths: Sequence[int], token: Tensor, ctc_symbols: int, states: int) -> None:
        super().__init__()
        self.token = nn.Parameter(token.detach().clone())
        kind = Attentive if task.joins == "fused" else Bottleneck
        self.layers = nn.ModuleList(kind(width, task.size) for width in widths if task.size)
        self.ctc = nn.Linear(states, 1 + ctc_symbols) if task.ctc else None


class SequenceModel(nn.Module):
    """An encoder-decoder with adapters.

    Args:
        base: the encoder-decoder. Where adapters go into it, its linear layers keep their names and values.
        trains: ``adapters`` = tokens and adapters of tasks alone, ``all`` = everything.
    """

    def __init__(self, base: EncoderDecoder, *, trains: Literal["adapters", "all"] = "adapters") -> None:
        super().__init__()
        self.base, self.trains = base, trains
        backbone = base.backbone
        self.places = (
            *task_adapters.adapted_places(backbone.layer_modules(), backbone.sublayer_ends["feed_forward"]),
            *task_adapters.adapted_places(list(base.decoder.layers), "fc2"),
        )
        self.parts = nn.ModuleDict()
        self.tasks: dict[str, SpeltTask] = {}
        base.requires_grad_(trains == "all")
        if trains == "all":
            for module in backbone.front_end():
                module.requires_grad_(False)

    def add(self, task: SpokenTask) -> None:
        """Gives the model another task, whose adapter changes nothing yet; all others stay as they are.

        Raises:
            ConfigError: for a name that is taken, or an adapter that the model lacks.
        """
        if task.name in self.tasks:
            raise ConfigError(f"The model has a task '{task.name}' already; give this one another name.")
        for other in task.uses:
            if other not in self.tasks:
                raise ConfigError(
                    f"{task.name} uses the adapter of another task. " + unknown_name_message("task", other, self.tasks)
                )
            if self.tasks[other].task.joins != "single" or not self.tasks[other].task.size:
                raise ConfigError(f"{task.name} uses {other}, which is no adapter by itself: name single ones.")
        spelt = SpeltTask(task, self.base.spelling, end=self.base.end)
        most = self.base.decoder.settings["max_target_positions"] - len(self.base.prompt)
        if task.most_tokens > most:
            raise ConfigError(f"{task.name}: most_tokens is {task.most_tokens}, the decoder has {most} places.")
        token = self.base.decoder.embed_tokens.weight[self.base.prompt[-1]]
        widths = [place.out_features for place in self.places]
        self.parts[_part(task.name)] = TaskParts(task, widths, token, spelt.ctc_symbols, self.base.backbone.hidden_size)
        self.tasks[task.name] = spelt

    def parts_of(self, name: str) -> TaskParts:
        """Parts of a task.

        Raises:
            ConfigError: for a task that the model does not have.
        """
        if name not in self.tasks:
            raise ConfigError(unknown_name_message("task", name, self.tasks))
        parts = self.parts[_part(name)]
        assert isinstance(parts, TaskParts)
        return parts

    def freeze(self, names: Iterable[str]) -> None:
        """Leaves the adapters of some tasks out of training."""
        for name in names:
            self.parts_of(name).requires_grad_(False)

    def changes_of(self, name: str) -> list[Change]:
        """Change at each place that a task's adapter makes."""
        task, own = self.tasks[name].task, list(self.parts_of(name).layers)
        others = [list(self.parts_of(other).layers) for other in task.uses]
        changes: list[Change] = []
        for place, layer in enumerate(own):
            sources = [found for layers in others if isinstance(found := layers[place], Bottleneck)]
            if isinstance(layer, Attentive):
                changes.append(task_adapters.fused(sources, layer))
            elif isinstance(layer, Bottleneck):
                changes.append(task_adapters.stacked(sources[0], layer) if sources else task_adapters.alone(layer))
        return changes

    @contextmanager
    def doing(self, name: str | None) -> Generator[Tensor | None]:
        """Puts a task's adapter to work in the block and yields its token; None = the base as it is."""
        if name is None:
            yield None
            return
        parts = self.parts_of(name)
        if not len(parts.layers):
            yield parts.token
            return
        with task_adapters.in_use(self.places, self.changes_of(name)):
            yield parts.token

    def forward(self, batch: Batch) -> dict[str, TaskOutput]:
        """Outputs by task for the clips of a batch, each with its own task's adapter."""
        numbers = batch.targets[TASK][:, 0].long()
        names = list(self.tasks)
        return {
            names[number]: self._of_task(names[number], batch, numbers == number)
            for number in numbers.unique().tolist()
        }

    def _of_task(self, name: str, batch: Batch, own: Tensor) -> TaskOutput:
        mask = batch.mask[own]
        longest = int(mask.sum(dim=1).max())
        tokens, targets = (_filled(batch.targets[kind][own]) for kind in (TOKENS, CTC))
        with self.doing(name) as token:
            heard = self.base.hear(batch.waveforms[own, :longest], mask[:, :longest])
            return self.output(name, token, heard, tokens, targets.clamp(min=0))

    def output(self, name: str, token: Tensor | None, heard: Heard, tokens: Tensor, targets: Tensor) -> TaskOutput:
        """Scores along given answers, while the task is being done.

        Args:
            name: of the task.
            token: its own.
            heard: of the clips.
            tokens: of the answers, shape (clips, tokens), -1 behind the end.
            targets: CTC's symbols, shape (clips, symbols), 0 behind the end.
        """
        spelt = self.tasks[name]
        written = self.base.embedded(tokens.clamp(min=0))
        embedded = torch.cat([self.base.prompted(token, len(tokens)), written], dim=1)
        hidden, _ = self.base.decoder(embedded, heard.attended, heard.mask)
        following = hidden[:, len(self.base.prompt) - 1 :]  # the state at each token says the next one
        scores = self.base.decoder.scores(following, alphabet_of(spelt.grammar, tokens.device))
        legal, truth = _along(spelt, tokens)
        return TaskOutput(
            scores if legal is None else scores.masked_fill(~legal, -torch.inf),
            truth,
            self.symbols(name, heard),
            heard.frames,
            targets,
        )

    def symbols(self, name: str, heard: Heard) -> Tensor | None:
        """Log-probabilities of CTC's symbols, the blank first, shape (frames, clips, symbols); None without CTC."""
        ctc = self.parts_of(name).ctc
        return None if ctc is None else ctc(heard.states).log_softmax(dim=-1).transpose(0, 1)

    def train(self, mode: bool = True) -> SequenceModel:
        """As ``nn.Module.train``, but a frozen encoder-decoder stays in evaluation mode."""
        super().train(mode)
        if self.trains == "adapters":
            self.base.eval()
        return self

    def parameter_counts(self) -> Mapping[str, int]:
        """Parameters of the base, and those of each task's token, adapter and CTC output."""
        counts = {"base": sum(parameter.numel() for parameter in self.base.parameters())}
        for name in self.tasks:
            parts = self.parts_of(name)
            counts[f"{name} token"] = parts.token.numel()
            counts[f"{name} adapter"] = sum(parameter.numel() for parameter in parts.layers.parameters())
            counts[f"{name} ctc"] = 0 if parts.ctc is None else sum(p.numel() for p in parts.ctc.parameters())
        return counts


def alphabet_of(grammar: Grammar, device: torch.device) -> Tensor | slice:
    """Tokens of a grammar as an index of the vocabulary, shape (alphabet,); a slice where it can be one."""
    if isinstance(grammar, FreeText) and grammar.end == grammar.texts:
        return slice(0, grammar.texts + 1)
    return torch.tensor(grammar.alphabet, device=device)


def _part(name: str) -> str:
    """Name of a task's parts among modules, where PyTorch's own, such as ``type`` and ``items``, are taken."""
    return f"of_{name}"


def _filled(targets: Tensor) -> Tensor:
    """Whole numbers without the columns that are all NaN, shape (clips, numbers), -1 where there was NaN."""
    longest = int(targets.isfinite().sum(dim=1).max())
    return targets[:, :longest].nan_to_num(nan=-1).long()


def _along(spelt: SpeltTask, tokens: Tensor) -> tuple[Tensor | None, Tensor]:
    """Legal tokens along answers, shape (clips, tokens + 1, alphabet), None where all are; and the truth's places.

    Args:
        spelt: the task.
        tokens: of the answers, shape (clips, tokens), -1 behind the end.
    """
    grammar, answers = spelt.grammar, [[token for token in row if token >= 0] for row in tokens.tolist()]
    place_of = grammar.place_of
    truth = torch.full((len(tokens), tokens.shape[1] + 1), -1)
    for row, answer in enumerate(answers):
        truth[row, : len(answer) + 1] = torch.tensor([place_of[token] for token in (*answer, grammar.end)])
    if not spelt.task.items:
        return None, truth.to(tokens.device)
    legal = torch.zeros(len(tokens), tokens.shape[1] + 1, len(grammar.alphabet), dtype=torch.bool)
    legal[:, :, place_of[grammar.end]] = True  # behind the end, where nothing is learnt
    for row, answer in enumerate(answers):
        state = grammar.start
        for place, token in enumerate((*answer, grammar.end)):
            allowed = grammar.legal(state, spelt.task.most_tokens - place)
            legal[row, place] = False
            legal[row, place, [place_of[each] for each in allowed]] = True
            state = state if token == grammar.end else grammar.after(state, token)
    return legal.to(tokens.device), truth.to(tokens.device)
