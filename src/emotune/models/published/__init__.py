"""Formats of published emotion models: each tells its folders by the names of their weights and describes the model.

A new format is a file with a subclass of ``CheckpointFormat`` and a line here; see docs/how-to/checkpoints.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emotune.registry import Registry

if TYPE_CHECKING:
    from emotune.models.published.checkpoint_format import CheckpointFormat

FORMATS: Registry[type[CheckpointFormat]] = Registry(
    "checkpoint format",
    {
        "sequence_classification": "emotune.models.published.sequence_classification:SequenceClassification",
        "dense_head": "emotune.models.published.dense_head:DenseHead",
        "emotion2vec": "emotune.models.published.emotion2vec:Emotion2vecPlus",
        "odyssey": "emotune.models.published.odyssey:Odyssey",
        "vox_profile": "emotune.models.published.vox_profile:VoxProfile",
        "speechbrain": "emotune.models.published.speechbrain:SpeechBrain",
    },
    extra="train",
)
