"""Sees that requirements-locked.txt and constraints.txt name the same versions, each with its hashes and nothing else.

    python tools/lock.py [CONSTRAINTS LOCKED]

PyTorch's builds differ in their hashes and emotune is what is locked for: neither is in the file.
"""

import re
import subprocess
import sys
from pathlib import Path

NOT_LOCKED = frozenset(["torch", "emotune"])
PIN = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[\w.+!]+)(?P<marker> ;[^\\]*)?(?P<hashes>( --hash=\S+)*)")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def pins(text: str) -> dict[str, tuple[str, list[str]]]:
    """Version and hashes by a package's name in lower case with hyphens; a line of another kind is an error.

    >>> pins("A_b==1.0 \\\\\\n    --hash=sha256:" + "0" * 64)["a-b"][0]
    '1.0'
    """
    found: dict[str, tuple[str, list[str]]] = {}
    for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pin = PIN.fullmatch(line.strip())
        if pin is None:
            raise SystemExit(f"error: '{line[:80]}' is no name==version, with hashes or without.")
        name = re.sub(r"[-_.]+", "-", pin["name"]).lower()
        if name in found:
            raise SystemExit(f"error: {name} is named twice.")
        found[name] = (pin["version"], pin["hashes"].split())
    return found


def faults(constraints: str, locked: str) -> list[str]:
    """All that sets the two files apart, and hashes that are none."""
    wanted = {name: version for name, (version, _) in pins(constraints).items() if name not in NOT_LOCKED}
    there = pins(locked)
    found = [f"{name} is not locked" for name in sorted(wanted.keys() - there.keys())]
    found += [f"{name} is locked and not in the constraints" for name in sorted(there.keys() - wanted.keys())]
    for name in sorted(wanted.keys() & there.keys()):
        version, hashes = there[name]
        if version != wanted[name]:
            found.append(f"{name} is locked at {version}, the constraints say {wanted[name]}")
        if not hashes or not all(HASH.fullmatch(own) for own in hashes):
            found.append(f"{name} has no SHA-256, or one that is not 64 digits")
    return found


def main() -> None:
    constraints, locked = map(Path, sys.argv[1:] or ("constraints.txt", "requirements-locked.txt"))
    found = faults(constraints.read_text(encoding="utf-8"), locked.read_text(encoding="utf-8"))
    if found:
        raise SystemExit("\n".join(f"error: {fault}" for fault in found) + "\nMake it again with `make lock`.")
    # pip's own reading of the file: what is installed in these versions already is not fetched
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--require-hashes", "--no-deps", "-r", locked],
        check=True,
    )
    print(f"{locked}: {len(pins(locked.read_text(encoding='utf-8')))} packages as in {constraints}, with their hashes")


if __name__ == "__main__":
    main()
