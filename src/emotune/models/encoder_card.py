"""The card of a bare encoder: what it was made from and heard, and how to build on it."""

# pyright: strict
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from emotune.models.card_text import plain


def encoder_card(
    *,
    title: str,
    config: Mapping[str, Any],
    information: Mapping[str, Any],
    notice: str | None,
    is_start: bool = False,
) -> str:
    """The card beside an encoder's weights, as Markdown.

    Args:
        title: a name for people.
        config: ``Backbone.config``.
        information: corpus, licence, reference, what it was made from and so on, printed as a list.
        notice: a warning for the top.
        is_start: whether layer mix and pooling lie with it: a model without heads, which others start from.
    """
    kind = plain(config["model_type"])
    lines = ["---", "library_name: emotune", "pipeline_tag: feature-extraction", "---", f"# {plain(title)}", ""]
    lines += [f"> **{plain(notice)}**", ""] if notice else []
    lines += [
        f"A speech encoder of the family {kind}, pre-trained by emotune on recordings without labels. It predicts"
        " nothing by itself.",
        "",
        "## Data and licences",
        *(
            f"- {plain(name)}: {plain(value if isinstance(value, str) else json.dumps(value))}"
            for name, value in information.items()
        ),
        "- The weights inherit the conditions of the recordings and of the encoder that they were made from: check both"
        " before use.",
        "",
        "## Use",
        "```yaml",
        "model:",
        "  start: this/folder" if is_start else f"  backbone: {{name: {kind}, checkpoint: this/folder}}",
        "```",
    ]
    return "\n".join(lines) + "\n"
