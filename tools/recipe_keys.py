"""The table of a recipe's keys, at the end of docs/recipes.md, written anew from the fields that check them."""

from pathlib import Path

from emotune.config.keys import recipe_keys

PAGE = Path(__file__).parents[1] / "docs" / "recipes.md"
HEAD = "| key | may be | default |\n|---|---|---|\n"


def main() -> None:
    before, head, _ = PAGE.read_text(encoding="utf-8").partition(HEAD)
    if not head:
        raise SystemExit(f"error: {PAGE} has no table with the head {HEAD.splitlines()[0]}")
    keys = [key for key in recipe_keys().values() if key.allowed]
    rows = [f"| `{key.path}` | {key.allowed} | {f'`{key.default}`' if key.default else ''} |\n" for key in keys]
    PAGE.write_text(before + head + "".join(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
