"""The checks of locked versions and of licences find what they are for."""

import importlib.util
import sys
from email.parser import Parser
from importlib.metadata import Distribution
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
ZEROS = "0" * 64


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lock, licences, release = tool("lock"), tool("licences"), tool("release")
CONSTRAINTS = "# a comment\nnumpy==2.0\nPy_YAML==6.0.3\ntorch==2.13.0\n"
ONE = f" --hash=sha256:{ZEROS}"
LOCKED = f"numpy==2.0{ONE} \\\n   {ONE}\npy-yaml==6.0.3{ONE}\n"


def test_the_locked_file_has_the_versions_of_the_constraints():
    text = (ROOT / "requirements-locked.txt").read_text()
    assert lock.faults((ROOT / "constraints.txt").read_text(), text) == []
    assert "://" not in text and "/" not in text
    assert lock.faults(CONSTRAINTS, LOCKED) == []


@pytest.mark.parametrize(
    ("locked", "fault"),
    [
        (LOCKED.replace("numpy==2.0", "numpy==2.1"), "numpy is locked at 2.1, the constraints say 2.0"),
        (LOCKED.replace(ZEROS, "0" * 63), "numpy has no SHA-256, or one that is not 64 digits"),
        (LOCKED.replace("sha256", "md5"), "numpy has no SHA-256, or one that is not 64 digits"),
        (LOCKED + f"torch==2.13.0 --hash=sha256:{ZEROS}\n", "torch is locked and not in the constraints"),
        (LOCKED.split("py-yaml", maxsplit=1)[0], "py-yaml is not locked"),
        (LOCKED + "six==1.0\n", "six is locked and not in the constraints"),
    ],
)
def test_what_sets_the_two_files_apart_is_named(locked, fault):
    assert fault in lock.faults(CONSTRAINTS, locked)


@pytest.mark.parametrize(
    "line", ["numpy>=2.0", "--index-url somewhere", "numpy @ file:///somewhere", "-e .", "numpy==2.0\nnumpy==2.0"]
)
def test_a_line_of_another_kind_is_an_error(line):
    with pytest.raises(SystemExit, match=r"error: "):
        lock.pins(line)


class Package(Distribution):
    """A distribution of which only the metadata are there."""

    def __init__(self, *fields: str) -> None:
        self.text = "\n".join(["Metadata-Version: 2.4", "Name: thing", "Version: 1", *fields]) + "\n\n"

    def read_text(self, filename: str) -> str | None:
        return self.text if filename == "METADATA" else None

    def locate_file(self, path):
        raise FileNotFoundError(path)


@pytest.mark.parametrize(
    ("fields", "licence", "kind"),
    [
        (["License-Expression: MIT"], "MIT", "free"),
        (["License: MIT License"], "MIT", "free"),
        (["License: see LICENSE.txt", "Classifier: License :: OSI Approved :: BSD License"], "BSD-3-Clause", "free"),
        (["Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)"], "GPL-3.0-only", "copyleft"),
        (["License-Expression: MIT AND (LGPL-2.1-or-later OR Apache-2.0)"], None, "copyleft"),
        (["License-Expression: MIT OR GPL-3.0-only"], None, "free"),
        (["License-Expression: (Weird OR MIT) AND MIT"], None, "unknown"),
        (["License-Expression: CC-BY-NC-4.0"], "CC-BY-NC-4.0", "forbids"),
        (["License: Free for non-commercial use"], "Free for non-commercial use", "forbids"),
        (["License: For research only"], "For research only", "forbids"),
        (["License: UNKNOWN"], "unknown", "unknown"),
        ([], "unknown", "unknown"),
        (["License: our own"], "our own", "unknown"),
    ],
)
def test_a_licence_is_read_from_wherever_it_is_stated(fields, licence, kind):
    found = licences.licence_of(Package(*fields))
    assert licence is None or found == licence
    assert licences.kind_of(found) == kind


@pytest.mark.parametrize(("fields", "fails"), [(["License: our own"], True), (["License: MIT License"], False)])
@pytest.mark.parametrize("in_base", [True, False])
def test_only_the_base_tier_fails(monkeypatch, capsys, fields, fails, in_base):
    needs = "thing" if in_base else "thing; extra == 'more'"
    project = Package(f"Requires-Dist: {needs}", "Requires-Dist: other")
    project.text = project.text.replace("Name: thing", "Name: emotune")
    other = Package("License: MIT")
    other.text = other.text.replace("Name: thing", "Name: other")
    monkeypatch.setattr(licences, "distributions", lambda: [project, Package(*fields), other])
    if in_base and fails:
        with pytest.raises(SystemExit, match="thing, of the base tier, is under a licence"):
            licences.main()
    else:
        licences.main()
    assert f"{'base' if in_base else 'more'} thing" in capsys.readouterr().out


def test_the_bill_of_materials_has_every_locked_package_with_hashes_and_licence(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    monkeypatch.delitem(sys.modules, "lock", raising=False)
    bill = tool("sbom").bill(CONSTRAINTS, LOCKED, "1.0")
    named = {part["name"]: part for part in bill["components"]}
    assert named.keys() == {"numpy", "py-yaml", "torch"}
    assert named["numpy"]["purl"] == "pkg:pypi/numpy@2.0"
    assert (named["numpy"]["scope"], named["torch"]["scope"]) == ("required", "optional")
    assert {one["content"] for one in named["numpy"]["hashes"]} == {ZEROS}
    assert named["numpy"]["licenses"] and "hashes" not in named["torch"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("License-Expression: MIT\n", "no License-Expression"),
        ("License-File: LICENSE\n", "no licence file"),
        ("Classifier: Programming Language :: Python :: 3\n", "no classifier of Python"),
        ("Requires-Python: >=3.11\n", "no Requires-Python"),
    ],
)
def test_what_the_metadata_of_a_release_lack_is_named(line, fault):
    whole = (
        "Name: a\nVersion: 1\nSummary: s\nLicense-Expression: MIT\nRequires-Python: >=3.11\nLicense-File: LICENSE\n"
        "Description-Content-Type: text/markdown\nClassifier: Programming Language :: Python :: 3\n"
    )
    files = ["a-1.dist-info/licenses/LICENSE"]
    assert release.faults(Parser().parsestr(whole), files) == []
    assert fault in release.faults(Parser().parsestr(whole.replace(line, "")), files)
    assert release.faults(Parser().parsestr(whole), []) == ["License-File LICENSE is not in the wheel"]
