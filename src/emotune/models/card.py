"""The card of a model: what it is, of what data, how good, and its limits; Markdown that holds no one else's markup."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from emotune.conditions import CONDITIONS
from emotune.conditions.gender import LIMITS
from emotune.models.card_text import plain
from emotune.models.heads import HEADS
from emotune.schema.gender import GENDER_CLASSES

_NAMES_OF_HUB = re.compile(r"cc0-1\.0|cc-by(-nc)?(-nd|-sa)?-\d\.\d|mit|apache-2\.0")
"""of the licences that are usual for recordings and weights; the card's list has the others in their words"""


def model_card(
    *,
    title: str,
    config: Mapping[str, Any],
    information: Mapping[str, Any],
    scores: Mapping[str, Any],
    notice: str | None,
    licence: str | None = None,
    corpora: Sequence[str] = (),
) -> str:
    """The card that lies beside the weights: what it is, of what data under which licence, how good, and its limits.

    Args:
        title: a name for people.
        config: ``EmotionModel.settings``.
        information: corpus, licence, reference, backbone, recipe and so on, printed as a list.
        scores: figures by name, with the split that they were measured on in the name.
        notice: a warning for the top, such as that the corpus is synthetic.
        licence: for programs that read the front matter; None or ``unknown`` = none is stated there.
        corpora: that training heard, for programs that read the front matter.
    """
    classes = ", ".join(map(plain, config["classes"])) or "none"
    dimensions = (
        ", ".join(f"{plain(name)} [{low:g}, {high:g}]" for name, (low, high) in config["dimensions"].items()) or "none"
    )
    lines = [*_front_matter(licence, corpora), f"# {plain(title)}", ""]
    lines += [f"> **{plain(notice)}**", ""] if notice else []
    lines += [
        "Made by emotune: a speech encoder adapted to speech emotion recognition.",
        "",
        "## What it predicts",
        f"- classes: {classes}",
        f"- dimensions: {dimensions}",
        f"- backbone: {config['backbone']['model_type']}"
        + (f", beside it {config['second']['backbone']['model_type']}" if config.get("second") else ""),
        f"- layer mix: {config['layer_mix']}; pooling: {config['pooling']}",
        *_condition_lines(config),
        *_learnt_beside(config),
        "",
        "## Data and licences",
        *(
            f"- {plain(name)}: {plain(value if isinstance(value, str) else json.dumps(value))}"
            for name, value in information.items()
        ),
        "- The weights inherit the conditions of the corpus and of the pretrained encoder: check both before use.",
        "",
        "## Figures",
        *(
            f"- {plain(name)}: {value:.3f}" if isinstance(value, float) else f"- {plain(name)}: {plain(value)}"
            for name, value in scores.items()
        ),
        "",
        "## Intended use and limits",
        "- For research and development on emotion as it is *expressed* in speech, in recordings like those above.",
        "- It does not know what a person feels. Labels are what annotators heard or actors were asked to show.",
        *_limits(config),
        "- Figures hold for the corpus named here; other languages, channels and speakers need their own evaluation.",
        "- Not for decisions about people at work or in education: the EU AI Act forbids emotion recognition there.",
        "",
        "## Use",
        "```python",
        "import emotune",
        'print(emotune.load("this/folder").predict("speech.wav").probabilities)',
        "```",
    ]
    return "\n".join(lines) + "\n"


def _front_matter(licence: str | None, corpora: Sequence[str]) -> list[str]:
    """Lines of YAML for the Hub and for whoever scores the model without its run."""
    front: dict[str, Any] = {"library_name": "emotune", "pipeline_tag": "audio-classification"}
    if licence not in (None, "unknown"):
        named = licence.strip().lower().replace(" ", "-")
        front["license"] = named if _NAMES_OF_HUB.fullmatch(named) else "other"
    front |= {"datasets": [" ".join(name.split()) for name in corpora]} if corpora else {}
    return ["---", *yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=math.inf).splitlines(), "---"]


def _condition_lines(config: Mapping[str, Any]) -> list[str]:
    """Lines on what the model is given beside the sound, and which models give it where it is missing."""
    lines = []
    for name, about in (config.get("conditions") or {}).items():
        named = [about[helper.key] for helper in CONDITIONS[name]().helpers if about.get(helper.key)]
        each = [f"{plain(_public_name(helper['name']))} (revision {plain(helper['revision'])})" for helper in named]
        made = ", ".join(each) or "no model of its own"
        source = plain(about.get("source", "given"))
        lines.append(f"- given beside the sound: {plain(name)} ({source}), with {made}; works without it")
    return lines


def _learnt_beside(config: Mapping[str, Any]) -> list[str]:
    """A line for each head whose answers nobody gets."""
    heads = [HEADS[name] for name in config["heads"]]
    return [f"- learnt beside emotion: {head.about}" for head in heads if head.stored_as is None]


def _public_name(name: str) -> str:
    """Of a folder its last part: a card tells nobody's folders."""
    return Path(name).name if Path(name).is_absolute() else name


def _limits(config: Mapping[str, Any]) -> list[str]:
    """Lines for a model that predicts or learns gender, and for what it is given beside the sound."""
    lines = [line for name in config.get("conditions") or {} for line in CONDITIONS[name]().limits]
    if set(config["classes"]) == set(GENDER_CLASSES):
        lines += [*LIMITS, "Made as an input for emotion models, not for use by itself."]
    if "gender" in config["heads"]:
        lines += LIMITS
    return [f"- {line}" for line in dict.fromkeys(lines)]
