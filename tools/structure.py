"""Prints the structure of the tree in figures: rooms, arrows, lines, copies, and what docstrings say where it is due.

    python tools/structure.py [--root PATH]

PATH is the root of any version of this repository, for example a git worktree of an older commit. Information only:
nothing here fails. A room is a module or package directly below src/emotune; an arrow says that something in one room
imports something in another, at the top of a file or inside a function. Lines are those of Python files, with comments.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import io
import re
import statistics
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "emotune"
WINDOW = 6
ARRAY = re.compile(r"\b(?:Tensor|NDArray|ndarray|ArrayLike|\w+Array)\b")
AXES = r"batch|samples|frames|layers|features|classes|dimensions|utterances|channels|tokens|time|groups|count|draws"
SHAPES = re.compile(rf"\bshapes?\b|\([^()]*\b(?:{AXES})\b[^()]*[,)]", re.IGNORECASE)
REFERENCE = re.compile(r"\bReferences?:|\barXiv\b|\bet al\b|https?://|\(\d{4}\)")
RAISES = re.compile(r"^\s*Raises\b", re.MULTILINE)
CITING_ROOMS = ("metrics", "losses", "models")
NAMED = re.compile(rf"{PACKAGE}(?:\.\w+)+(?::\w+)?")

Arrow = tuple[str, str]
Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Share:
    """How many of those that should say something do."""

    said: int
    due: int

    def __str__(self) -> str:
        return f"{self.said} of {self.due}" + (f" ({self.said / self.due:.0%})" if self.due else "")


def modules_below(package: Path) -> dict[str, ast.Module]:
    """Syntax trees by dotted name, of all modules below a package's folder."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def room_of(module: str) -> str:
    """Name below the package; of the package's own file the empty string.

    >>> room_of("emotune.models.heads"), room_of("emotune.errors"), room_of("emotune")
    ('models', 'errors', '')
    """
    return module.split(".")[1] if "." in module else ""


def imports_of(tree: ast.Module) -> Iterator[str]:
    """Dotted names that a module imports, at its top or inside functions; of `from a import b` both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def names_in_strings(tree: ast.Module) -> Iterator[str]:
    """Modules that a module names in strings, as in `"emotune.losses.focal:Focal"`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAMED.fullmatch(node.value):
            yield node.value.partition(":")[0]


def arrows_between(targets: Mapping[str, Iterable[str]], known: Set[str]) -> set[Arrow]:
    """Pairs of rooms (from, to) by what each module takes; the package's own file is left out."""
    arrows = set()
    for module, names in targets.items():
        for name in names:
            pair = (room_of(module), room_of(name))
            if name in known and all(pair) and pair[0] != pair[1]:
                arrows.add(pair)
    return arrows


def circles(arrows: Iterable[Arrow]) -> list[set[str]]:
    """Largest sets of nodes of which each leads to each other.

    >>> [sorted(circle) for circle in circles([("a", "b"), ("b", "c"), ("c", "b"), ("d", "a")])]
    [['b', 'c']]
    """
    onward: dict[str, set[str]] = defaultdict(set)
    for start, end in arrows:
        onward[start].add(end)

    def reached(start: str) -> set[str]:
        found, waiting = set[str](), [start]
        while waiting:
            for end in onward.get(waiting.pop(), ()):
                if end not in found:
                    found.add(end)
                    waiting.append(end)
        return found

    leads_to = {node: reached(node) for node in list(onward)}
    found: list[set[str]] = []
    for node, ends in leads_to.items():
        if node in ends and not any(node in circle for circle in found):
            found.append({other for other in ends if node in leads_to.get(other, ())})
    return found


def layers_in(contract: str) -> list[set[str]]:
    """Rooms of each layer, the highest first, from the text of a .importlinter file.

    >>> [sorted(layer) for layer in layers_in("[contract]\\ntype=layers\\nlayers =\\n  a\\n  b | c")]
    [['a'], ['b', 'c']]
    """
    reader = configparser.ConfigParser()
    reader.read_string(contract)
    for name in reader.sections():
        if reader[name].get("type") == "layers":
            return [set(re.findall(r"[\w.]+", line)) for line in reader[name]["layers"].splitlines() if line.strip()]
    return []


def not_downwards(arrows: Iterable[Arrow], layers: list[set[str]]) -> set[Arrow]:
    """Arrows that lead to a higher layer or to another room of the same."""
    level = {room: number for number, layer in enumerate(layers) for room in layer}
    return {(start, end) for start, end in arrows if start in level and end in level and level[start] >= level[end]}


def code_lines(source: str) -> list[str]:
    """Lines of code without indentation; blank lines, comments, docstrings and imports are left out."""
    numbers = set[int]()
    nothing = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in nothing:
            numbers.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        if text or isinstance(node, ast.Import | ast.ImportFrom):
            numbers.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = source.splitlines()
    return [lines[number - 1].strip() for number in sorted(numbers) if lines[number - 1].strip()]


def equal_windows(files: Iterable[list[str]], size: int = WINDOW) -> int:
    """Pairs of places with the same `size` lines in a row; a copy of `size + 1` lines is two pairs.

    >>> equal_windows([["a", "b", "c", "d"], ["x", "a", "b", "c"]], size=2)
    2
    """
    windows = Counter(tuple(lines[n : n + size]) for lines in files for n in range(len(lines) - size + 1))
    return sum(count * (count - 1) // 2 for count in windows.values())


def functions_in(tree: ast.AST) -> Iterator[Function]:
    """Functions and methods, those inside others too."""
    return (node for node in ast.walk(tree) if isinstance(node, FUNCTIONS))


def length_of(function: Function) -> int:
    """Lines from the `def` to the end."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


@dataclass(frozen=True)
class Public:
    """A public function of a module, or a public method of a public class, with all docstrings that speak of it."""

    function: Function
    words: str
    is_method: bool


def public_functions(tree: ast.Module, classes: Mapping[str, ast.ClassDef]) -> Iterator[Public]:
    """Public functions and methods; a method's words are its own, its class's, and those of its base classes.

    Args:
        tree: a module's.
        classes: all classes of the package by name, to find the bases in.
    """
    for node in tree.body:
        if isinstance(node, FUNCTIONS) and not node.name.startswith("_"):
            yield Public(node, ast.get_docstring(node) or "", is_method=False)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for function in node.body:
                if isinstance(function, FUNCTIONS) and not function.name.startswith("_"):
                    yield Public(function, _words_of_method(function.name, node, classes), is_method=True)


def _words_of_method(name: str, owner: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> str:
    words, waiting, seen = [], [owner], {owner.name}
    while waiting:
        node = waiting.pop()
        words.append(ast.get_docstring(node) or "")
        words += [ast.get_docstring(own) or "" for own in node.body if isinstance(own, FUNCTIONS) and own.name == name]
        for base in node.bases:
            known = classes.get(ast.unparse(base).split("[")[0].rpartition(".")[2])
            if known is not None and known.name not in seen:
                seen.add(known.name)
                waiting.append(known)
    return "\n".join(words)


def takes_arrays(function: Function) -> bool:
    """Whether a parameter's annotation names an array or a tensor."""
    own = function.args
    parameters = [*own.posonlyargs, *own.args, *own.kwonlyargs, own.vararg, own.kwarg]
    return any(ARRAY.search(ast.unparse(one.annotation)) for one in parameters if one and one.annotation)


def raises(function: Function) -> bool:
    """Whether the function's own body raises an error of its choice: no bare `raise`, nothing of an inner function."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Raise) and node.exc is not None and "NotImplementedError" not in ast.unparse(node.exc):
            return True
        if not isinstance(node, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
            waiting.extend(ast.iter_child_nodes(node))
    return False


def owing_a_reference(tree: ast.Module, room: str) -> list[Function | ast.ClassDef]:
    """Public functions of the metrics that give a number or an array; classes of losses and models that compute."""
    found: list[Function | ast.ClassDef] = []
    for node in tree.body:
        if room == "metrics" and isinstance(node, FUNCTIONS) and not node.name.startswith("_"):
            if node.returns is not None and re.search(r"\bfloat\b|\w*Array\b", ast.unparse(node.returns)):
                found.append(node)
        elif room != "metrics" and isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            own = [part for part in node.body if isinstance(part, FUNCTIONS)]
            abstract = any("abstractmethod" in ast.unparse(d) for part in own for d in part.decorator_list)
            if not abstract and {part.name for part in own} & {"forward", "values"}:
                found.append(node)
    return found


def documented(modules: Mapping[str, ast.Module]) -> dict[str, Share]:
    """Shares of what says its shapes, its errors and its source, of all that should."""
    classes = {node.name: node for tree in modules.values() for node in tree.body if isinstance(node, ast.ClassDef)}
    public = [one for tree in modules.values() for one in public_functions(tree, classes)]
    arrays = [one for one in public if takes_arrays(one.function)]
    raising = [one for one in public if raises(one.function)]
    cited = [
        any(REFERENCE.search(ast.get_docstring(part) or "") for part in (node, tree))
        for name, tree in modules.items()
        if room_of(name) in CITING_ROOMS
        for node in owing_a_reference(tree, room_of(name))
    ]
    return {
        "functions of arrays that name shapes": Share(sum(bool(SHAPES.search(o.words)) for o in arrays), len(arrays)),
        "functions that raise and say Raises": Share(sum(bool(RAISES.search(o.words)) for o in raising), len(raising)),
        "metrics, losses, models that cite": Share(sum(cited), len(cited)),
    }


def figures(root: Path) -> Iterator[tuple[str, object]]:
    """All figures of a tree, each with its name."""
    package = root / "src" / PACKAGE
    modules = modules_below(package)
    files = {path: path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))}
    known = modules.keys()
    arrows = arrows_between({name: list(imports_of(tree)) for name, tree in modules.items()}, known)
    by_name = arrows_between({name: list(names_in_strings(tree)) for name, tree in modules.items()}, known)
    between_modules = {
        (name, target)
        for name, tree in modules.items()
        for target in imports_of(tree)
        if target in known and target != name and not name.startswith(f"{target}.")
    }
    layers = layers_in((root / ".importlinter").read_text(encoding="utf-8"))
    sizes = {path: len(text.splitlines()) for path, text in files.items()}
    largest = max(sizes, key=sizes.__getitem__)
    lengths = [length_of(function) for tree in modules.values() for function in functions_in(tree)]
    lines, rooms = Counter[str](), {room_of(name) for name in known} - {""}
    for path, size in sizes.items():
        first = path.relative_to(package).parts[0].removesuffix(".py")
        lines[PACKAGE if first == "__init__" else first] += size
    yield "rooms", len(rooms)
    yield "arrows between rooms", len(arrows)
    yield "arrows by names in strings alone", len(by_name - arrows)
    yield "circles of rooms", len(circles(arrows))
    yield "circles of modules", len(circles(between_modules))
    wrong = sorted(not_downwards(arrows | by_name, layers))
    yield "arrows not downwards", ", ".join([str(len(wrong)), *(f"{start} -> {end}" for start, end in wrong)])
    yield "rooms outside the layers", ", ".join(sorted(rooms - set().union(*layers))) or "none"
    yield "lines", sum(sizes.values())
    yield "files", len(sizes)
    yield "median file", f"{statistics.median(sizes.values()):g} lines"
    yield "largest file", f"{sizes[largest]} lines, {largest.relative_to(package).as_posix()}"
    yield "functions", len(lengths)
    yield "median function", f"{statistics.median(lengths):g} lines"
    yield f"equal windows of {WINDOW} lines", f"{equal_windows(code_lines(text) for text in files.values())} pairs"
    yield from documented(modules).items()
    yield "lines by room", ", ".join(f"{room} {count}" for room, count in lines.most_common())


def main() -> None:
    parser = argparse.ArgumentParser(description="The structure of the tree in figures; information only.")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="of a version of this repository")
    for name, value in figures(parser.parse_args().root):
        print(f"{name:38}{value}")


if __name__ == "__main__":
    main()
