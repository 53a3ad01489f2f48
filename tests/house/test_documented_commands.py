"""Commands that the documentation prints one after another work in that order: each finds what those before it made."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from emotune.config.reading import recipe_content
from emotune.models.installed import OWN

ROOT = Path(__file__).parents[2]
USERS_OWN = {"calls.csv", "new_recordings/", "other.csv", "clip.wav", "call.wav", *OWN}
"""What a reader of the README has beforehand: recordings, tables and the models of emotune's own packages."""
OF_CORPORA = ("split", "check", "show")
TAKEN_AS_FIRST = {
    *("evaluate", "predict", "gender", "transcribe", "adjust", "submit"),
    *(f"corpus {one}" for one in OF_CORPORA),
}
OF_A_MODEL = {"evaluate", "predict"}


@dataclass
class Made:
    """What the commands so far have written: path -> whether it is a run with one model, folds, a study or a table."""

    kinds: dict[str, str] = field(default_factory=dict)

    def kind_of(self, path: str) -> str | None:
        whole = next((made for made in self.kinds if path == made or path.startswith(f"{made}/")), None)
        if whole is None:
            return None
        inside_study = self.kinds[whole] == "study" and "/runs/" in path
        return "model" if inside_study else self.kinds[whole]


def commands_in(text: str) -> list[list[str]]:
    """The words of every emotune command in a page's shell blocks, loops written out."""
    found = []
    for block in re.findall(r"```(?:sh|bash)\n(.*?)```", text, re.DOTALL):
        plain = block.replace("\\\n", " ")
        loops = re.compile(r"^for (\w+) in (.*?); do\n?(.*?)\bdone$", re.MULTILINE | re.DOTALL)
        plain = loops.sub(lambda m: "\n".join(m[3].replace(f"${m[1]}", value) for value in m[2].split()), plain)
        for line in plain.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["emotune"]:
                found.append(words[1:])
    return found


def is_readers_own(path: str) -> bool:
    return path in USERS_OWN or path.isupper() or path.startswith("path/to/") or not re.search(r"[/.]|^[a-z_-]+$", path)


def inputs_and_output(words: list[str]) -> tuple[str, dict[str, str], str | None]:
    """The command, option or key -> path that it reads, and where it writes."""
    name = " ".join(words[:2]) if words[0] == "corpus" else words[0]
    rest, read, output = words[len(name.split()) :], {}, None
    plain = []
    for word, following in zip(rest, [*rest, ""][1:], strict=True):
        if word in ("-o", "--output"):
            output = following
        elif word in ("--manifest", "--model", "--expected"):
            read[word] = following
        elif word.startswith("data.manifest=") and word != "data.manifest=null":
            read["data.manifest"] = word.partition("=")[2]
        if not word.startswith("-"):
            plain.append(word)
    if name in TAKEN_AS_FIRST:
        read["first"] = plain[0]
    if name in ("compare", "fuse"):
        read |= {f"system {word}": word.partition("=")[2] for word in plain if "=" in word}
    if name in ("transcribe",):
        read.pop("--model", None)  # of faster-whisper, from elsewhere
    return name, read, output


def kind_made(name: str, words: list[str]) -> str:
    if name not in ("train", "probe"):
        return "study" if name == "study" else "table"
    if any(word.startswith("protocol=") for word in words):
        return "folds"
    settings = [word.partition("=")[2] for word in words if word.startswith("probe.leave_out=")]
    if name == "probe" and not settings:
        settings = [str(recipe_content(words[1]).get("probe", {}).get("leave_out") or "null")]
    return "no model" if name == "probe" and settings != ["null"] else "model"


@pytest.mark.parametrize("page", ["README.md", "docs/results.md", "docs/tutorials/msp-podcast.md"])
def test_every_printed_command_finds_what_those_before_it_made(page):
    made = Made()
    commands = commands_in((ROOT / page).read_text(encoding="utf-8"))
    assert len(commands) > 7
    for words in commands:
        name, read, output = inputs_and_output(words)
        shown = f"{page}: emotune {shlex.join(words)}"
        for option, path in read.items():
            kind = made.kind_of(path)
            assert kind or is_readers_own(path), f"{shown}\n{path} was not made before"
            needs_model = option == "--model" or (option == "first" and name in OF_A_MODEL)
            assert not (kind and needs_model) or kind == "model", f"{shown}\n{path} is {kind}"
        if output is not None:
            made.kinds[output] = kind_made(name, words)
        elif name in ("train", "probe") and "--dry-run" not in words:
            made.kinds[f"a default folder, number {len(made.kinds)}"] = kind_made(name, words)


def test_the_check_sees_a_command_that_nothing_was_made_for():
    before = "emotune probe gender/whisper_tiny_probe data.manifest=M.csv probe.leave_out=speaker -o gender\n"
    made = Made()
    for words in commands_in(f"```sh\n{before}for x in a b; do\n  emotune train r -o run-$x\ndone\n```"):
        name, read, output = inputs_and_output(words)
        made.kinds[str(output)] = kind_made(name, words) if name == "probe" else "model"
        assert read in ({"data.manifest": "M.csv"}, {})
    assert made.kinds == {"gender": "no model", "run-a": "model", "run-b": "model"}
    assert made.kind_of("runs/probe") is None
    assert not is_readers_own("runs/probe")
    assert not is_readers_own("emodb-split.csv")
