"""The page of a recipe's keys, from the fields that check them."""

from itertools import groupby
from pathlib import Path

from emotune.config.keys import recipe_keys

HEAD = """# Recipe keys

Every key that a recipe may have, as `emotune explain` says it: what it may be, its default and its meaning.
[Recipes](recipes.md) shows them together. A range stands for finite numbers; `null` leaves a key out. Any key can be
set on the command line: `train.epochs=3`.
"""
ROW = "| `{path}` | {allowed} | {default} | {about} |"


def write(page: Path) -> int:
    """Writes the page and counts the keys."""
    keys = [key for key in recipe_keys().values() if key.allowed]
    lines = [HEAD]
    for section, own in groupby(keys, lambda key: key.path.partition(".")[0] if "." in key.path else "of the recipe"):
        lines += [f"\n## {section}\n", "| key | may be | default | meaning |", "|---|---|---|---|"]
        for key in own:
            about = key.about.replace("|", "\\|")
            default = f"`{key.default}`" if key.default else "must be given"
            lines.append(ROW.format(path=key.path, allowed=key.allowed, default=default, about=about))
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(keys)
