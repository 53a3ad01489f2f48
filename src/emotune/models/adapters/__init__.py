"""Parameter-efficient fine-tuning: a few new or chosen parameters train, the encoder's own stay."""

from collections.abc import Callable

from emotune.models.adapters.bitfit import choose_biases
from emotune.models.adapters.bottleneck import add_bottleneck
from emotune.models.adapters.insertion import Inserted, check_that_all_act
from emotune.models.adapters.lora import add_lora, merge_lora
from emotune.registry import Registry

ADAPTERS: Registry[Callable[..., Inserted]] = Registry(
    "adapter", {"bitfit": choose_biases, "bottleneck": add_bottleneck, "lora": add_lora}
)

__all__ = ["ADAPTERS", "Inserted", "check_that_all_act", "merge_lora"]
