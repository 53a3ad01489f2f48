"""Lists the licences of what is installed with emotune; fails where the base tier's are unknown or forbid selling.

    python tools/licences.py

The base tier is what `pip install emotune` brings without extras. A licence that is neither known here nor stated is a
fault there: look at it, and add it to the table that it belongs to. Copyleft licences allow commercial use and bind who
passes the program on; they are marked.
"""

import re
import sys
import textwrap
from collections import deque
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distributions

from packaging.requirements import Requirement

PROJECT = "emotune"
FREE = (
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CNRI-Python", "HPND", "ISC", "MIT"),
    *("MIT-0", "MIT-CMU", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib", "ZPL-2.1"),
)
COPYLEFT = (
    *("GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later", "AGPL-3.0-only", "AGPL-3.0-or-later"),
    *("LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later", "MPL-2.0"),
)
EXCEPTIONS = ("GCC-exception-3.1", "LLVM-exception")
FORBIDS = re.compile(
    r"\bNC\b|non-?\s?commercial|academic|research (use )?only|proprietary|evaluation only", re.IGNORECASE
)
WORDS = {
    "apache software license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd-3-clause license": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "the mit license (mit)": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "gnu general public license v3 (gplv3)": "GPL-3.0-only",
    "python software foundation license": "PSF-2.0",
    "historical permission notice and disclaimer (hpnd)": "HPND",
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def tier(project: str, requirements: Mapping[str, Iterable[str]]) -> set[str]:
    """A project without extras and all that it needs, by the requirements of each installed package.

    >>> sorted(tier("a", {"a": ["b[x]>1", "c; extra == 'all'"], "b": ["d; extra == 'x'", "e"], "d": [], "e": ["a"]}))
    ['a', 'b', 'd', 'e']
    """
    found: set[tuple[str, str]] = set()
    waiting = deque([(project, "")])
    while waiting:
        name, extra = waiting.popleft()
        if (name, extra) in found or name not in requirements:
            continue
        found.add((name, extra))
        for text in requirements[name]:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting.extend((normal(requirement.name), own) for own in ("", *requirement.extras))
    return {name for name, _ in found}


def licence_of(package: Distribution) -> str:
    """SPDX where the package states it or its words are known; otherwise its own words, or 'unknown'."""
    about = package.metadata
    expression = about.get("License-Expression")
    classified = [
        line.rpartition("::")[2].strip() for line in about.get_all("Classifier") or [] if "License ::" in line
    ]
    told = [line for line in (about.get("License") or "").strip().splitlines()[:1] if line]
    if expression or told[:1] == ["UNKNOWN"]:
        return expression or "unknown"
    words = [word for word in [*told, *classified] if word != "OSI Approved"]
    known = [WORDS.get(word.lower().rstrip("."), word) for word in words]
    return next((word for word in known if kind_of(word) != "unknown"), known[0] if known else "unknown")


def kind_of(licence: str) -> str:
    """'free', 'copyleft', 'forbids' or 'unknown'; of several that all hold the strictest, of a plain choice the freest.

    >>> kind_of("MIT"), kind_of("MIT AND LGPL-2.1-or-later"), kind_of("MIT OR GPL-3.0-only"), kind_of("CC-BY-NC-4.0")
    ('free', 'copyleft', 'free', 'forbids')
    """
    if FORBIDS.search(licence.replace("-", " ")) or FORBIDS.search(licence):
        return "forbids"
    order = ["free", "copyleft", "unknown"]
    choices = [licence] if "(" in licence else licence.split(" OR ")
    kinds = []
    for choice in choices:
        parts = [part.strip(" ()") for part in re.split(r" AND | OR | WITH ", choice)]
        own = ["free" if p in (*FREE, *EXCEPTIONS) else "copyleft" if p in COPYLEFT else "unknown" for p in parts]
        kinds.append(max(own, key=order.index))
    return min(kinds, key=order.index)


def main() -> None:
    packages = {normal(package.metadata["Name"]): package for package in distributions()}
    base = tier(PROJECT, {name: package.requires or [] for name, package in packages.items()}) - {PROJECT}
    if not base:
        raise SystemExit(f"error: {PROJECT} is not installed here: run `make licences`, which installs it first.")
    found = []
    for name in sorted(packages.keys() - {PROJECT}, key=lambda name: (name not in base, name)):
        licence = " ".join(licence_of(packages[name]).split())
        kind = kind_of(licence)
        note = "" if kind == "free" else f"  ({kind})"
        where, short = "base" if name in base else "more", textwrap.shorten(licence, 60)
        print(f"{where} {name:32}{packages[name].version:20}{short}{note}")
        if name in base and kind in ("forbids", "unknown"):
            found.append(f"{name}, of the base tier, is under a licence that {PROJECT} cannot rest on: {licence}.")
    if found:
        sys.exit("\n".join(f"error: {fault}" for fault in found))


if __name__ == "__main__":
    main()
