"""Pages of the public names, from signatures and docstrings; nothing is imported, so no extra is needed.

Public is what ``emotune`` and its rooms name in ``__all__``, every function that is a command's twin, the metrics, and
what a part of one's own derives from.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import griffe
from commands import TWINS, twins

CONTRACTS = (
    "emotune.corpora.base.Corpus",
    "emotune.models.backbones.base.Backbone",
    "emotune.models.backbones.family.Wav2Vec2Family",
    "emotune.models.aggregations.pooling.Pooling",
    "emotune.losses.class_loss.ClassLoss",
    "emotune.losses.options.LossOptions",
    "emotune.conditions.condition.Condition",
    "emotune.metrics.metric.Metric",
)
_SHOWN = 12
TITLES = {
    "emotune": "emotune",
    "twins": "Functions of the commands",
    "parts": "Parts of your own",
    "metrics": "Metrics",
}


def public(package: griffe.Module, twin_page: str) -> dict[str, list[str]]:
    """Dotted names by page."""
    found = {page: list[str]() for page in TITLES}
    found["emotune"] = [f"emotune.{name}" for name in _exports(package)]
    for name, module in sorted(package.modules.items()):
        if module.exports and not module.is_alias:
            found[name] = [f"emotune.{name}.{own}" for own in _exports(module)]
    calls = (re.findall(r"`(emotune(?:\.\w+)+)`", text) for text in twins(twin_page).values())
    found["twins"] = sorted({call for several in calls for call in several} - set(found["emotune"]))
    found["parts"] = list(CONTRACTS)
    for module in package["metrics"].modules.values():
        found["metrics"] += [
            name.path for name in module.functions.values() if not name.is_private and not name.is_alias
        ]
    return {page: list(dict.fromkeys(names)) for page, names in found.items() if names}


def _exports(module: griffe.Module) -> list[str]:
    return sorted(str(name) for name in module.exports or [])


def resolved(package: griffe.Module, name: str) -> griffe.Object:
    """What a dotted name means, through re-exports.

    Raises:
        SystemExit: for a name that means nothing.
    """
    try:
        found = package[name.removeprefix("emotune.")]
        return found.final_target if isinstance(found, griffe.Alias) else found
    except (KeyError, griffe.AliasResolutionError) as error:
        raise SystemExit(f"error: {name} is public and cannot be found: {error}") from error


def shown(name: str, thing: griffe.Object) -> Iterator[str]:
    """Lines about a name: signature, docstring, and of a class its public members.

    Raises:
        SystemExit: for a name without a docstring.
    """
    if thing.docstring is None:
        raise SystemExit(f"error: {name} is public and has no docstring: {thing.filepath}")
    yield f"## `{name.rpartition('.')[2]}`\n"
    yield f"`{name}`\n"
    if thing.is_class or thing.is_function:
        yield f"```python\n{_signature(name.rpartition('.')[2], thing)}\n```\n"
    yield from _docstring(thing)
    if thing.is_class:
        for own in thing.members.values():
            if own.is_alias or own.name.startswith("_") or not (own.is_function or "property" in own.labels):
                continue
            if own.docstring is None:  # the contract that it fulfils says what it does
                continue
            yield f"### `{thing.name}.{own.name}`\n"
            if own.is_function:
                yield f"```python\n{_signature(own.name, own)}\n```\n"
            yield from _docstring(own)


def _signature(name: str, thing: griffe.Object) -> str:
    of = thing.members.get("__init__", thing) if thing.is_class else thing
    if isinstance(of, griffe.Alias) or not hasattr(of, "parameters"):
        return f"class {name}"
    parts, star = [], False
    for one in of.parameters:
        if one.name in ("self", "cls"):
            continue
        if one.kind is griffe.ParameterKind.keyword_only and not star:
            star = True
            parts.append("*")
        star = star or one.kind is griffe.ParameterKind.var_positional
        sign = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}.get(one.kind, "")
        annotation = f": {one.annotation}" if one.annotation is not None else ""
        default = f" = {one.default}" if one.default is not None and not sign else ""
        parts.append(f"{sign}{one.name}{annotation}{default}")
    returned = "" if thing.is_class or thing.returns is None else f" -> {thing.returns}"
    line = f"{name}({', '.join(parts)}){returned}"
    return line if len(line) <= 100 else f"{name}(\n    " + ",\n    ".join(parts) + f",\n){returned}"


def _docstring(thing: griffe.Object) -> Iterator[str]:
    for section in thing.docstring.parse("google", warnings=False):
        if section.kind is griffe.DocstringSectionKind.text:
            yield _plain(section.value)
        elif section.kind is griffe.DocstringSectionKind.examples:
            yield from (
                f"```pycon\n{text}\n```" if kind.value == "examples" else _plain(text) for kind, text in section.value
            )
        elif section.kind is griffe.DocstringSectionKind.admonition:
            yield f"{section.title}:\n\n{_plain(section.value.contents)}"
        else:
            yield f"{section.kind.value.title().replace('Parameters', 'Arguments')}:\n"
            for one in section.value:
                name = getattr(one, "name", None) or str(one.annotation)
                yield f"- `{name}`: {' '.join(_plain(one.description).split())}"
        yield ""


def _plain(text: str) -> str:
    """Text whose double back-ticks are single ones, and whose angle brackets show."""
    return text.replace("``", "`").replace("<", "&lt;") if "`" not in text else re.sub(r"``([^`]+)``", r"`\1`", text)


def write(root: Path, folder: Path) -> int:
    """Writes the pages and counts the names."""
    folder.mkdir(parents=True)
    package = griffe.load("emotune", search_paths=[root / "src"], resolve_aliases=True)
    index = [
        "# Python",
        "",
        "Signatures and docstrings of the public names. [The commands from Python](../python.md) shows them at work.",
        "",
        "| of | names |",
        "|---|---|",
    ]
    pages = public(package, (root / TWINS).read_text(encoding="utf-8"))
    for page, names in pages.items():
        title = TITLES.get(page, f"emotune.{page}")
        lines = [f"# {title}", ""]
        for name in names:
            lines += shown(name, resolved(package, name))
        (folder / f"{page}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
        shorts = [f"`{name.rpartition('.')[2]}`" for name in names]
        more = ", ..." if len(shorts) > _SHOWN else ""
        index.append(f"| [{title}]({page}.md) | {', '.join(shorts[:_SHOWN])}{more} |")
    (folder / "index.md").write_text("\n".join(index) + "\n", encoding="utf-8")
    return len({name for names in pages.values() for name in names})
