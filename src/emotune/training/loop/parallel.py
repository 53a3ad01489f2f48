"""Placement of a model in the memory of several processes: whole in each of them, or in pieces."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from emotune.batch import LayerOutputs, Output
from emotune.training.loop import processes

Model = TypeVar("Model", bound=nn.Module)


class Replicated(Generic[Model]):
    """Every process, or the only one, holds the whole model; gradients are added up once a step.

    Args:
        model: the same in every process from here on.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        processes.copy_from_first(model)

    def begin_piece(self, *, is_last: bool) -> None:
        """Before each forward and backward of a step."""

    def add_up(self, parameters: Sequence[nn.Parameter]) -> None:
        """After the last backward: every gradient becomes the sum over all processes."""
        processes.sum_gradients(parameters)

    def weights(self) -> dict[str, Tensor]:
        """The whole model's, in the first process."""
        return self.model.state_dict()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Loads the whole model's weights, in every process."""
        self.model.load_state_dict(weights)

    def optimiser_state(self, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
        """The whole optimiser's state, in the first process."""
        return optimiser.state_dict()

    def load_optimiser(self, optimiser: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
        """Loads the whole optimiser's state, in every process."""
        optimiser.load_state_dict(dict(state))

    def whole_model(self) -> Model:
        """The model as it is now, to be used by this process alone."""
        return self.model

    def put_away(self) -> None:
        """The whole model is not needed for a while."""


class Sharded(Replicated[Model]):
    """Each process holds a piece of every weight, gradient and optimiser state (FSDP).

    The whole model is one unit: its weights are gathered for a forward and backward pass, so that what is saved is the
    memory of gradients, optimiser and, between steps, weights.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._whole = copy.deepcopy(model).cpu()
        self._device = next(model.parameters()).device
        for kind in (Output, LayerOutputs):  # so that FSDP finds the tensors in what the model gives
            torch.export.register_dataclass(kind)
        fully_shard(model, mesh=init_device_mesh(self._device.type, (processes.count(),)))
        assert isinstance(model, FSDPModule)
        model.set_gradient_divide_factor(1.0)  # a sum, not a mean
        model.set_force_sum_reduction_for_comms(True)  # gloo knows no other
        self._unit = model

    def begin_piece(self, *, is_last: bool) -> None:
        self._unit.set_requires_gradient_sync(is_last)

    def add_up(self, parameters: Sequence[nn.Parameter]) -> None:
        """FSDP has done it in the last backward."""

    def weights(self) -> dict[str, Tensor]:
        whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
        return dict(get_model_state_dict(self.model, options=whole))  # pyright: ignore[reportReturnType]

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        set_model_state_dict(self.model, dict(weights), options=StateDictOptions(full_state_dict=True))

    def optimiser_state(self, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
        whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
        return get_optimizer_state_dict(self.model, optimiser, options=whole)

    def load_optimiser(self, optimiser: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
        if state["state"]:  # plain gradient descent has none
            whole = StateDictOptions(full_state_dict=True)
            set_optimizer_state_dict(self.model, optimiser, dict(state), options=whole)

    def whole_model(self) -> Model:
        self._whole.load_state_dict(get_model_state_dict(self.model, options=StateDictOptions(full_state_dict=True)))
        return self._whole.to(self._device)

    def put_away(self) -> None:
        self._whole.cpu()
