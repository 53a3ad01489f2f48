"""Attacks on a model of one's own: small changes of a clip, made to change its class, for audits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emotune.registry import Registry

if TYPE_CHECKING:
    from emotune.attacks.attack import Attack

_OPTIONS = "emotune.attacks.options"

ATTACKS: Registry[type[Attack]] = Registry(
    "attack",
    {
        "random_sign": ("emotune.attacks.gradient_sign:RandomSign", f"{_OPTIONS}:BoundedOptions"),
        "fgsm": ("emotune.attacks.gradient_sign:FGSM", f"{_OPTIONS}:BoundedOptions"),
        "bim": ("emotune.attacks.gradient_sign:BIM", f"{_OPTIONS}:StepOptions"),
        "pgd": ("emotune.attacks.gradient_sign:PGD", f"{_OPTIONS}:StepOptions"),
        "deepfool": ("emotune.attacks.deepfool:DeepFool", f"{_OPTIONS}:DeepFoolOptions"),
        "cw_l2": ("emotune.attacks.carlini_wagner:CarliniWagnerL2", f"{_OPTIONS}:CarliniWagnerL2Options"),
        "cw_linf": ("emotune.attacks.carlini_wagner:CarliniWagnerLinf", f"{_OPTIONS}:CarliniWagnerLinfOptions"),
        "jsma": ("emotune.attacks.saliency:JSMA", f"{_OPTIONS}:JSMAOptions"),
        "sparse": ("emotune.attacks.sparse:Sparse", f"{_OPTIONS}:SparseOptions"),
        "hop_skip_jump": ("emotune.attacks.hop_skip_jump:HopSkipJump", f"{_OPTIONS}:HopSkipJumpOptions"),
    },
    extra="train",
)
