"""The model ``mini`` of emotune. Its folder is found by the entry point that this package declares."""

from pathlib import Path

MODEL = Path(__file__).parent / "model"
