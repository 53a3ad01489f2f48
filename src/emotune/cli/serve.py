"""emotune serve: models behind HTTP, with a page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from emotune.cli.console import Words, number_in, out, pairs
from emotune.runtime.extras import needs


def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="As for predict, or NAME=MODEL, the first being the default; without any, mini.", show_default=False
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address; 0.0.0.0 = this machine's, for everyone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 = any that is free.")] = 8000,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that run a model, over one copy of it; default one a core.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default a GPU where there is one.")] = None,
    limit: Annotated[
        list[str],
        typer.Option(
            help="NAME=VALUE, such as upload_mb=20; may be given again. In the folder that `emotune env` names,"
            " reference/serving.md lists them."
        ),
    ] = [],
    keys: Annotated[
        Path | None, typer.Option(help="File of hashed keys, a line each; also in the environment as EMOTUNE_KEYS.")
    ] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="Print a new key and its hash, and end.")] = False,
    origin: Annotated[
        list[str], typer.Option(help="Of web pages elsewhere that may call the server; may be given again.")
    ] = [],
    jobs_folder: Annotated[
        Path | None, typer.Option(help="Where jobs survive a restart; without, they are in memory alone.")
    ] = None,
) -> None:
    """Serve models over HTTP and WebSocket, with a page at /. Ctrl-C or SIGTERM ends it once its work is done.

    Logs are lines of JSON on standard error; no recording and no name of one is kept or logged.
    """
    with needs("serve", "emotune serve"):
        from emotune.server.keys import new_key as made
        from emotune.server.keys import read_keys
        from emotune.server.serve import serve as serve_until_told
        from emotune.server.settings import settings_of

    if new_key:
        key, hashed = made()
        out.print(f"key, for the client: {key}\nhash, for --keys:    {hashed}", markup=False)
        return
    settings = settings_of(
        {name: number_in(value, f"--limit {name}") for name, value in pairs(limit, "--limit").items()},
        workers=workers,
        device=device,
        keys=read_keys(keys, os.environ),
        origins=tuple(origin),
        jobs_folder=jobs_folder,
    )
    serve_until_told(models or [], settings, host=host, port=port, listener=Words())
