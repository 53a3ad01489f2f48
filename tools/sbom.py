"""Writes what emotune stands on as a bill of materials: CycloneDX 1.6, as JSON.

    python tools/sbom.py FILE

Components are the packages of constraints.txt as they are installed here, with their licences, and the hashes that
requirements-locked.txt has of them. Those of the base tier are required, the others come by extras.
"""

import json
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import licences
import lock

ROOT = Path(__file__).parents[1]


def bill(constraints: str, locked: str, version: str) -> dict[str, object]:
    """The document; a package that is locked and not installed here has no licence in it."""
    packages = {licences.normal(package.metadata["Name"]): package for package in distributions()}
    base = licences.tier(licences.PROJECT, {name: package.requires or [] for name, package in packages.items()})
    hashes = {name: found for name, (_, found) in lock.pins(locked).items()}
    components = []
    for name, (pinned, _) in sorted(lock.pins(constraints).items()):
        component: dict[str, object] = {
            "type": "library",
            "name": name,
            "version": pinned,
            "purl": f"pkg:pypi/{name}@{pinned}",
            "bom-ref": f"{name}@{pinned}",
            "scope": "required" if name in base else "optional",
        }
        if name in packages:
            component["licenses"] = [_licence(licences.licence_of(packages[name]))]
        if hashes.get(name):
            component["hashes"] = [{"alg": "SHA-256", "content": one.rpartition(":")[2]} for one in hashes[name]]
        components.append(component)
    about = {"type": "application", "name": licences.PROJECT, "version": version, "bom-ref": licences.PROJECT}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": about},
        "components": components,
    }


def _licence(words: str) -> dict[str, object]:
    """One that SPDX knows as an expression, any other by its own words.

    >>> _licence("MIT OR Apache-2.0"), _licence("our own")
    ({'expression': 'MIT OR Apache-2.0'}, {'license': {'name': 'our own'}})
    """
    known = licences.kind_of(words) in ("free", "copyleft")
    return {"expression": words} if known else {"license": {"name": " ".join(words.split())[:200]}}


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    read = [(ROOT / name).read_text(encoding="utf-8") for name in ("constraints.txt", "requirements-locked.txt")]
    document = bill(*read, project["version"])
    Path(sys.argv[1]).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{sys.argv[1]}: {len(document['components'])} components")


if __name__ == "__main__":
    main()
