"""The made-up MSP-Podcast of examples/study, for tests."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

STUDY = Path(__file__).parents[3] / "examples" / "study"


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"study_{name}", STUDY / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_corpus, organisers = _script("make_corpus"), _script("organisers")
write_corpus = make_corpus.write_corpus
