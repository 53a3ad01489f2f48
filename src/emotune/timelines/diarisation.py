"""Speaker turns of a diarisation, read from RTTM as pyannote, NeMo and others write it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from emotune.errors import TableError, quoted
from emotune.io.cells import number_or_none

SpeakerTurns = Mapping[str, list[tuple[float, float]]]
"""Speaker -> start and end of turns in seconds."""


def read_rttm(path: Path) -> Mapping[str, SpeakerTurns]:
    """Turns by the name of the recording that the file's lines give.

    Raises:
        TableError: for what is no RTTM, naming file, line and field.

    Reference:
        NIST (2009), The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan, appendix A.
    """
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields or fields[0].startswith(";;") or fields[0] != "SPEAKER":
            continue
        where = f"{path}, line {number}"
        if len(fields) < 8:
            raise TableError(
                f"{where}: {len(fields)} fields, expected at least 8: SPEAKER file channel start duration <NA> <NA>"
                " speaker. Names must not hold spaces."
            )
        start_s = number_or_none(fields[3], f"{where}, start")
        duration_s = number_or_none(fields[4], f"{where}, duration")
        if start_s is None or duration_s is None or start_s < 0 or duration_s < 0:
            raise TableError(f"{where}: start and duration are {quoted(' '.join(fields[3:5]))}, expected 0 or more.")
        if duration_s:
            turns = found.setdefault(fields[1], {}).setdefault(fields[7], [])
            turns.append((start_s, start_s + duration_s))
    if not found:
        raise TableError(f"{path} holds no speaker turns: expected lines such as 'SPEAKER call 1 0.5 2.1 <NA> <NA> A'.")
    return dict(found)


def turns_of(diarisation: Mapping[str, SpeakerTurns], recording: str, path: Path) -> SpeakerTurns:
    """Turns of one recording: those under its name, with or without folders and suffix.

    Raises:
        TableError: when there are none.
    """
    name = PurePosixPath(recording)
    for known in (recording, name.name, name.stem, recording.replace(" ", "_"), name.stem.replace(" ", "_")):
        if known in diarisation:
            return diarisation[known]
    shown = ", ".join(sorted(diarisation)[:5]) + (", ..." if len(diarisation) > 5 else "")
    raise TableError(f"{path} has no turns of '{name.stem}', it has those of {shown}. Name the recording so in it.")
