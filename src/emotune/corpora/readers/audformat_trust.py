"""Parts of an audformat database that could run code when its library reads it, found without that library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from emotune.errors import CorpusError

_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_trust(root: Path, *, trust_pickle: bool) -> None:
    """Refuses a header with YAML tags that make objects of Python and, unless they are trusted, pickled tables.

    Raises:
        CorpusError: naming what was found, and what to do.
    """
    for table in _tables(_header(root)):
        if "/" in table or "\\" in table:
            raise CorpusError(f"{root}/db.yaml: '{table}' is no name of a table, but a path.")
        pickled = root / f"db.{table}.pkl"
        if pickled.exists() and not trust_pickle:
            raise CorpusError(
                f"{pickled} is a pickle, and loading one can run any code on this machine. Delete it where"
                f" db.{table}.csv or .parquet lies beside it. If you trust whoever made it, make a manifest with"
                f" `emotune corpus read audformat {root} --trust-pickle -o manifest.csv`."
            )


def _header(root: Path) -> dict[str, Any]:
    try:
        with (root / "db.yaml").open(encoding="utf-8") as stream:
            header = yaml.load(stream, Loader=_SafeLoader)
    except yaml.constructor.ConstructorError as error:
        raise CorpusError(f"{root}/db.yaml holds a value that plain YAML does not know ({error.problem}).") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise CorpusError(f"{root}/db.yaml cannot be read as audformat: {error!r}.") from error
    if not isinstance(header, dict):
        raise CorpusError(f"{root}/db.yaml cannot be read as audformat: it holds a {type(header).__name__}.")
    return header


def _tables(header: dict[str, Any]) -> list[str]:
    headers = [header, *(value for value in header.values() if isinstance(value, dict))]  # older: all below its name
    found = [part.get(kind) for part in headers for kind in ("tables", "misc_tables")]
    return [str(table) for tables in found if isinstance(tables, dict) for table in tables]
