"""Runs all cells of a notebook from the project's root and keeps what they show; ends at the first error.

python tools/notebook.py examples/predictions.ipynb
"""

import sys
from pathlib import Path

import nbclient
import nbformat

UNSTEADY = ("execution", "signature")
"""What would change the file though nothing it shows has changed: times, versions."""


def main() -> None:
    path = Path(sys.argv[1])
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": "."}}).execute()
    for cell in notebook.cells:
        for name in UNSTEADY:
            cell.metadata.pop(name, None)
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
