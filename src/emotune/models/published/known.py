"""The field's published emotion models by name: what each answers, under which licence. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

_ODYSSEY = ("anger", "sadness", "happiness", "surprise", "fear", "disgust", "contempt", "neutral")
_VOX = ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "other")
_SUPERB = ("neutral", "happiness", "anger", "sadness")
_RAVDESS = ("anger", "calm", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
_PLUS = ("anger", "disgust", "fear", "happiness", "neutral", "other", "sadness", "surprise", "unknown")
_ADV, _AVD = ("arousal", "dominance", "valence"), ("arousal", "valence", "dominance")
_TEST3 = "MSP-Podcast Test3"


@dataclass(frozen=True)
class PublishedCheckpoint:
    """A published emotion model that loads by its name on the Hugging Face Hub.

    Args:
        name: as ``load`` takes it.
        format: entry of ``FORMATS``.
        licence: as its authors state it.
        megabytes: of its weights, from their number; None where that is not known here.
        classes: in the order of its head; () where its own config names them.
        dimensions: likewise.
        figures: that its authors publish; empty where none are known here.
    """

    name: str
    format: str
    licence: str
    megabytes: int | None
    classes: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    figures: str = ""


PUBLISHED = (
    PublishedCheckpoint(
        "hf:3loi/SER-Odyssey-Baseline-WavLM-Categorical",
        "odyssey",
        "MIT",
        1274,
        classes=_ODYSSEY,
        figures=f"macro-F1 .311 on {_TEST3}",
    ),
    PublishedCheckpoint(
        "hf:3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes",
        "odyssey",
        "MIT",
        1274,
        dimensions=_ADV,
        figures=f"CCC arousal .577, valence .577, dominance .405 on {_TEST3}",
    ),
    *(
        PublishedCheckpoint(
            f"hf:3loi/SER-Odyssey-Baseline-WavLM-{name}", "odyssey", "MIT", 1274, dimensions=(name.lower(),)
        )
        for name in ("Arousal", "Valence", "Dominance")
    ),
    PublishedCheckpoint(
        "hf:audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim",
        "dense_head",
        "CC BY-NC-SA 4.0 (non-commercial)",
        661,
        dimensions=_ADV,
    ),
    PublishedCheckpoint(
        "hf:tiantiaf/wavlm-large-categorical-emotion",
        "vox_profile",
        "non-commercial",
        1266,
        classes=_VOX,
        dimensions=_AVD,
    ),
    PublishedCheckpoint(
        "hf:tiantiaf/wavlm-large-msp-podcast-emotion-dim", "vox_profile", "non-commercial", 1264, dimensions=_AVD
    ),
    PublishedCheckpoint(
        "hf:superb/wav2vec2-base-superb-er", "sequence_classification", "Apache-2.0", 378, classes=_SUPERB
    ),
    PublishedCheckpoint(
        "hf:superb/hubert-large-superb-er", "sequence_classification", "Apache-2.0", 1263, classes=_SUPERB
    ),
    PublishedCheckpoint(
        "hf:ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition",
        "dense_head",
        "Apache-2.0",
        1266,
        classes=_RAVDESS,
    ),
    PublishedCheckpoint(
        "hf:firdhokk/speech-emotion-recognition-with-openai-whisper-large-v3",
        "sequence_classification",
        "Apache-2.0",
        2549,
    ),
    PublishedCheckpoint(
        "hf:speechbrain/emotion-recognition-wav2vec2-IEMOCAP",
        "speechbrain",
        "Apache-2.0",
        378,
        classes=("neutral", "anger", "happiness", "sadness"),
    ),
    PublishedCheckpoint("hf:emotion2vec/emotion2vec_plus_base", "emotion2vec", "its authors' own", 373, classes=_PLUS),
    PublishedCheckpoint(
        "hf:emotion2vec/emotion2vec_plus_large", "emotion2vec", "its authors' own", None, classes=_PLUS
    ),
)
