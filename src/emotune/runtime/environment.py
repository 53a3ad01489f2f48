"""What is installed on this machine: versions, processor, GPU, extras, caches, and what would help."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from emotune.runtime.threads import usable_cores

FOR_DEVELOPERS = ("dev", "test", "docs", "all")
"""Extras that no command of a user asks for by itself."""
_WORTH_KNOWING = re.compile(r"avx2|avx512f|avx512_vnni|avx512_bf16|avx_vnni|amx_int8|amx_bf16|asimd|sve2?")
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<extras>[\w,.-]+)\])?(?P<bound>[^;]*)(?:;(?P<marker>.*))?")
_CACHES = ("~/.cache/emotune", "~/.cache/huggingface/hub")
_SECONDS = 10


@dataclass(frozen=True)
class Extra:
    """One extra of emotune: the packages that it names, with the version that is here, or None."""

    name: str
    packages: Mapping[str, str | None]
    too_old: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Its packages that are not here."""
        return [name for name, there in self.packages.items() if there is None]

    @property
    def complete(self) -> bool:
        """Tells whether all its packages are here, none too old."""
        return not self.missing and not self.too_old

    def in_words(self) -> str:
        """Versions, or what is missing."""
        if self.missing:
            return f"missing: {', '.join(self.missing)}"
        if self.too_old:
            return f"too old: {', '.join(self.too_old)}"
        return ", ".join(f"{name} {there}" for name, there in self.packages.items())


@dataclass(frozen=True)
class Lack:
    """Something that is missing, and the cure."""

    what: str
    cure: str


@dataclass(frozen=True)
class Environment:
    """Environment as ``emotune env`` shows it."""

    python: str
    system: str
    processor: str
    usable_cores: int
    instruction_sets: tuple[str, ...]
    memory_gb: float | None
    gpus: tuple[str, ...]
    versions: Mapping[str, str | None]
    extras: tuple[Extra, ...]
    caches: Mapping[str, float]
    lacks: tuple[Lack, ...]

    def to_json(self) -> dict[str, object]:
        """All of it as plain data; each extra with whether it is complete."""
        extras = [{**asdict(one), "complete": one.complete, "missing": one.missing} for one in self.extras]
        return {**asdict(self), "extras": extras}


def environment() -> Environment:
    """Looks at this machine. Nothing is imported for it, so PyTorch is not loaded."""
    extras = tuple(extras_of(requires("emotune") or []))
    base = [name for name, _, extra in _requirements(requires("emotune") or []) if not extra]
    versions = {name: _version(name) for name in ["emotune", *base, "torch", "emotune-mini"]}
    flags, processor = _processor()
    gpus = tuple(_gpus())
    return Environment(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        processor=processor,
        usable_cores=usable_cores(),
        instruction_sets=tuple(sorted(flag for flag in set(flags) if _WORTH_KNOWING.fullmatch(flag))),
        memory_gb=_memory_gb(),
        gpus=gpus,
        versions=versions,
        extras=extras,
        caches=dict(_caches()),
        lacks=tuple(_lacks(extras, gpus, versions, base)),
    )


def extras_of(requirements: Iterable[str]) -> Iterator[Extra]:
    """Extras by name, with the packages of the extras that they stand for.

    Args:
        requirements: as the metadata of a distribution have them.

    >>> [(one.name, one.missing) for one in extras_of(["no-such-package>=1; extra == 'a'", "numpy>=1; extra == 'b'"])]
    [('a', ['no-such-package']), ('b', [])]
    """
    found: dict[str, dict[str, str]] = {}
    for name, bound, extra in _requirements(requirements):
        if extra and name != "emotune" and extra not in FOR_DEVELOPERS:
            found.setdefault(extra, {})[name] = bound
    for extra, bounds in sorted(found.items()):
        packages = {name: _version(name) for name in sorted(bounds)}
        old = [f"{name} {there}" for name, there in packages.items() if there and _below(there, bounds[name])]
        yield Extra(extra, packages, tuple(old))


def _requirements(texts: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Name, least version and extra of each requirement; the extra is empty for what all installations have."""
    for text in texts:
        match = _REQUIREMENT.match(text)
        if match is not None:
            extra = re.search(r"extra\s*==\s*[\"']([\w-]+)[\"']", match["marker"] or "")
            least = re.search(r">=\s*([\d.]+)", match["bound"] or "")
            yield match["name"], least[1] if least else "", extra[1] if extra else ""


def _below(there: str, least: str) -> bool:
    """Compares release numbers; what follows them does not count."""
    numbers = [[int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:3]] for text in (there, least)]
    return bool(least) and numbers[0] < numbers[1]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> tuple[list[str], str]:
    """Flags and name of the processor, from the system or else from what numpy found."""
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        text = listed.read_text(encoding="utf-8", errors="replace")
        flags = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
        name = re.search(r"^model name\s*:(.*)$", text, re.MULTILINE)
        return (flags[1].split() if flags else []), (name[1].strip() if name else platform.machine())
    import numpy as np  # noqa: PLC0415 (only where the system does not say)

    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]  # pyright: ignore[reportOptionalSubscript, reportGeneralTypeIssues]
    return [str(name).lower() for name in found], platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        return None


def _gpus() -> Iterator[str]:
    """NVIDIA's, as their own program lists them."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return
    command = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return
    if said.returncode == 0:
        yield from (line.strip() for line in said.stdout.splitlines() if line.strip())


def _caches() -> Iterator[tuple[str, float]]:
    """Folders that hold what can be made or fetched again, each with its megabytes; those of emotune one by one."""
    for name in _CACHES:
        folder = Path(name).expanduser()
        if not folder.is_dir():
            continue
        for own in sorted(path for path in folder.iterdir() if path.is_dir()) if name == _CACHES[0] else [folder]:
            files = (path for path in own.rglob("*") if path.is_file() and not path.is_symlink())
            yield str(own), sum(path.stat().st_size for path in files) / 1e6


def _lacks(
    extras: Iterable[Extra], gpus: Iterable[str], versions: Mapping[str, str | None], base: Collection[str] = ()
) -> Iterator[Lack]:
    """Packages that are missing; an extra where packages are here that neither ``base`` nor a complete extra brings."""
    extras = list(extras)
    complete = {name for extra in extras if extra.complete for name in extra.packages}.union(base)
    for extra in extras:
        own = [name for name, there in extra.packages.items() if there and name not in complete]
        if extra.too_old:
            yield Lack(
                f"extra {extra.name}, too old: {', '.join(extra.too_old)}", f"pip install -U 'emotune[{extra.name}]'"
            )
        elif extra.missing and own:
            yield Lack(
                f"extra {extra.name}, half installed: {', '.join(extra.missing)}",
                f"pip install 'emotune[{extra.name}]'",
            )
    torch = versions.get("torch")
    if list(gpus) and torch and torch.endswith("+cpu"):
        yield Lack(
            "a GPU is here and PyTorch is a build for processors",
            "install PyTorch with the index that its own page names for your GPU",
        )
    if not versions.get("emotune-mini"):
        yield Lack("the model mini", "pip install packages/emotune-mini in a clone, or name a model of your own")
    if importlib.util.find_spec("sounddevice") and platform.system() == "Linux" and not _has_portaudio():
        yield Lack("PortAudio, for the microphone", "install the system's package libportaudio2")


def _has_portaudio() -> bool:
    from ctypes.util import find_library  # noqa: PLC0415 (asks the system's linker)

    return find_library("portaudio") is not None
