"""Runs Python blocks of a page, given as JSON on standard input, in one space of names."""

import importlib
import json
import re
import sys

sys.path.pop(0)  # the folder of this file


def main() -> None:
    names: dict[str, object] = {"__name__": "page"}
    for cell in json.load(sys.stdin):
        if cell["module"] and not re.search(r"^(import|from) ", cell["text"], re.MULTILINE):
            module = importlib.import_module(cell["module"])
            names.update({name: value for name, value in vars(module).items() if not name.startswith("__")})
        try:
            exec(f"{cell['before']}\n{cell['text']}", names)
        except BaseException:
            sys.stderr.write(cell["text"])
            raise


if __name__ == "__main__":
    main()
