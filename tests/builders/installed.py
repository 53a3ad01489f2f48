"""Packages that offer models, as if they were installed."""

import shutil
import tomllib
from pathlib import Path

import pytest

from builders.exported import save_exported
from emotune.schema.labels import LabelSpace

PACKAGES = Path(__file__).parents[2] / "packages"
CARD = "---\nlicense: cc-by-nc-sa-4.0\n---\n# mini\n"


def package_with_model(folder: Path, name: str, space: LabelSpace) -> Path:
    """Copy of one of the packages of this repository, with a tiny exported model in place of its own."""
    shutil.copytree(PACKAGES / name, folder, ignore=shutil.ignore_patterns("model", "__pycache__"))
    (module,) = (folder / "src").iterdir()
    save_exported(module / "model", space)
    (module / "model" / "README.md").write_text(CARD)
    return folder


def install(monkeypatch: pytest.MonkeyPatch, package: Path) -> Path:
    """Puts a package's modules on the path, with the entry points of its pyproject.toml; gives the model's folder."""
    about = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (module,) = (path for path in (package / "src").iterdir() if path.suffix != ".dist-info")
    metadata = package / "src" / f"{module.name}-{about['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {about['name']}\nVersion: {about['version']}\n")
    points = [
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in entries.items())
        for group, entries in about["entry-points"].items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(points))
    monkeypatch.syspath_prepend(str(package / "src"))
    monkeypatch.delitem(__import__("sys").modules, module.name, raising=False)
    return module / "model"
