"""Views of a clip for contrastive pre-training: each an encoder of its own, from sound or from measured numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emotune.registry import Registry

if TYPE_CHECKING:
    from emotune.models.views.view import View

VIEWS: Registry[type[View]] = Registry(
    "view",
    {
        "descriptors": ("emotune.models.views.descriptors:Descriptors", "emotune.models.views.options:DescriptorsView"),
        "encoder": ("emotune.models.views.encoder:EncoderStates", "emotune.models.views.options:EncoderView"),
        "mel": ("emotune.models.views.mel:Mel", "emotune.models.views.options:MelView"),
    },
    extra="train",
)
"""Views that stand beside the model that is pre-trained."""
