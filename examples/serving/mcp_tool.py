"""Tool of the Model Context Protocol: an assistant asks what the voices of a recording express.

    pip install 'emotune[client]' mcp
    emotune serve mini &
    EMOTUNE_SERVER=http://127.0.0.1:8000 EMOTUNE_FOLDER=~/calls python examples/serving/mcp_tool.py

It speaks over standard input and output, as clients start it. Only recordings in the folder can be asked about.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mcp.server import MCPServer

from emotune.client import AsyncClient
from emotune.errors import EmotuneError


def tool_server(url: str, folder: Path) -> MCPServer:
    """Server of the tool, for recordings in a folder."""
    server = MCPServer("emotune", instructions="Says how voices in recordings sound, not what people feel.")

    @server.tool()
    async def emotions_of_recording(name: str) -> dict[str, Any]:
        """How the voices of a recording sound from moment to moment: segments in seconds with emotion and confidence.

        'uncertain' is speech without a clear answer. These are judgements of a small model that learnt from actors:
        treat them as hints about the sound of a voice, never as facts about a person.

        Args:
            name: path of the recording within the folder.
        """
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            known = sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())[:50]
            return {"error": f"There is no recording '{name}'.", "recordings": known}
        try:
            async with AsyncClient(url) as client:
                timeline = await client.timeline(path)
        except EmotuneError as error:
            return {"error": str(error)}
        return {
            "recording": name,
            "duration_s": timeline.duration_s,
            "segments": [
                {
                    "start_s": one.start_s,
                    "end_s": one.end_s,
                    "emotion": one.emotion,
                    "confidence": None if one.confidence is None else round(one.confidence, 3),
                    **{dimension: round(value, 2) for dimension, value in one.dimensions.items()},
                }
                for one in timeline.segments
            ],
        }

    return server


if __name__ == "__main__":
    address = os.environ.get("EMOTUNE_SERVER", "http://127.0.0.1:8000")
    tool_server(address, Path(os.environ.get("EMOTUNE_FOLDER", ".")).expanduser()).run()
