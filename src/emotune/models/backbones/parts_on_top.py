"""Parts that published models have on top of their encoder: known by name, left out, and said.

What lies under the encoder's own prefix is the encoder's. Beside it, a weight belongs to one of these parts, or it is
unexpected. A new format's head is one more line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

CLASSIFICATION = "classification"
PARTS_ON_TOP: Mapping[str, re.Pattern[str]] = {
    CLASSIFICATION: re.compile(r"layer_weights$|(projector|classifier(\.(dense|out_proj|output))?)\.(weight|bias)$"),
    "speaker vectors": re.compile(r"tdnn\.\d+\.kernel\.|feature_extractor\.(weight|bias)$|objective\.weight$"),
    "recognition": re.compile(r"lm_head\."),
    "pre-training": re.compile(
        r"quantizer\.|project_q\.|project_hid\.|speaker_proj\.|label_embeddings_concat$|layer_norm_for_extract\."
    ),
    "Whisper's decoder": re.compile(r"(model\.)?decoder\.|proj_out\."),
}
"""Words for a part -> names of its weights. Pre-training and recognition also come beside an encoder without prefix."""

_BESIDE_BARE = ("pre-training", "recognition", "Whisper's decoder")


def prefix_of_encoder(names: Iterable[str], anchor: str) -> str | None:
    """The prefix under which the weight `anchor` is found, with its dot; None where it is there never or twice.

    >>> prefix_of_encoder(["model.wavlm.a.weight", "classifier.weight"], "a.weight")
    'model.wavlm.'
    """
    prefixes = {name.removesuffix(anchor) for name in names if name == anchor or name.endswith("." + anchor)}
    return prefixes.pop() if len(prefixes) == 1 else None


def left_out(names: Iterable[str], anchor: str) -> dict[str, list[str]]:
    """Names of weights that belong to a known part on top, by that part.

    >>> left_out(["wavlm.a.weight", "classifier.weight", "tdnn.x"], "a.weight")
    {'classification': ['classifier.weight']}
    """
    names = list(names)
    prefix = prefix_of_encoder(names, anchor) or ""
    found: dict[str, list[str]] = {}
    for name in names:
        if prefix and name.startswith(prefix):
            continue
        for part, pattern in PARTS_ON_TOP.items():
            if pattern.match(name) and (prefix or part in _BESIDE_BARE):
                found.setdefault(part, []).append(name)
                break
    return found


def in_words(found: Mapping[str, list[str]]) -> str:
    """The parts and how many weights each has.

    >>> in_words({"classification": ["layer_weights", "projector.weight", "projector.bias"]})
    'classification (3 weights: layer_weights, projector)'
    """
    return ", ".join(
        f"{part} ({len(names)} weight{'s' if len(names) > 1 else ''}:"
        f" {', '.join(sorted({name.partition('.')[0] for name in names}))})"
        for part, names in found.items()
    )
