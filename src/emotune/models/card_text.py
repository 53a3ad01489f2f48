"""Text of a card: words of others as they are, and a section put in place of its earlier self. Needs no torch."""

# pyright: strict
from __future__ import annotations

import re
from collections.abc import Sequence

_MARKUP = re.compile(r"[\\`*~<>$]|\](?=[(\[:])|(?<!\w)_|_(?!\w)|&(?=#?\w+;)")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def plain(value: object) -> str:
    r"""Text from a corpus or a recipe as Markdown that shows it as it is, on one line.

    >>> print(plain("CC BY-NC 4.0, msp_podcast"), plain("<b>*x*</b> [y](z)"))
    CC BY-NC 4.0, msp_podcast &lt;b&gt;\*x\*&lt;/b&gt; [y\](z)
    """
    words = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    return _MARKUP.sub(lambda found: _ENTITIES.get(found[0], "\\" + found[0]), words)


def with_section(card: str, title: str, lines: Sequence[str]) -> str:
    r"""Puts a section before the last one of a card, in place of an earlier one of the same title.

    >>> print(with_section("# m\n\n## a\nold\n\n## Use\nit\n", "a", ["new"]))
    # m
    <BLANKLINE>
    ## a
    new
    <BLANKLINE>
    ## Use
    it
    <BLANKLINE>
    """
    parts = re.split(r"(?m)^(?=## )", card)
    kept = [part for part in parts if part.splitlines()[:1] != [f"## {title}"]]
    section = "\n".join([f"## {title}", *lines, "", ""])
    place = len(kept) - 1 if len(kept) > 1 else len(kept)
    return "".join([*kept[:place], section, *kept[place:]])
