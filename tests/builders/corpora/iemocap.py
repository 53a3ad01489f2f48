"""A miniature of IEMOCAP: two sessions, improvised and scripted dialogues."""

import re
from collections.abc import Mapping
from pathlib import Path

from builders.recordings import write_recording

HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
LABELS = {
    "Ses01F_impro01": HEADER + "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.0000, 3.0000]\n"
    "C-E2:\tNeutral;\t()\n"
    "C-E3:\tNeutral state;\t()\n"
    "C-E4:\tNeutral; Frustration;\t()\n"
    "C-F1:\tAnger;\t()\n"
    "A-E3:\tval 3; act 2; dom  3;\t()\n"
    "A-E4:\tval 2; act 2; dom  3;\t(mildly aggravated but staying polite; attitude)\n"
    "A-F1:\tval 3; act 2; dom  1;\t()\n"
    "\n"
    "[10.0100 - 11.3925]\tSes01F_impro01_M003\texc\t[4.5000, 4.0000, 3.5000]\n"
    "C-E2:\tExcited;\t()\n"
    "C-E3:\tHappiness; Excited;\t()\n"
    "C-E4:\tOther;\t(d\xe9licieux; Anger;)\n"
    "C-M1:\tSadness;\t()\n"
    "\n",
    "Ses02M_script01_1": HEADER + "[1.0000 - 2.5000]\tSes02M_script01_1_F001\tfru\t[2.0000, 3.5000, 3.0000]\n"
    "C-E1:\tFrustration;\t()\n"
    "C-E2:\tAnger;\t()\n"
    "\n",
}
TEXTS = {
    "Ses01F_impro01": "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\n"
    "M: Mmhmm.\n"
    "Ses01F_impro01_M003 [010.0100-011.3925]: To the caf\xe9 [LAUGHTER]: yeah.\n",
    "Ses02M_script01_1": "Ses02M_script01_1_F001 [001.0000-002.5000]: \n",
}


def write_labels(root: Path, dialog: str, text: str) -> Path:
    """A dialogue's label file, in the encoding of the corpus."""
    path = root / f"Session{dialog[4]}" / "dialog" / "EmoEvaluation" / f"{dialog}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("latin-1"))
    return path


def write_tree(root: Path, labels: Mapping[str, str] = LABELS, *, suffix: str = ".wav") -> list[str]:
    """Label files, transcripts and a recording a label line; returns the recordings, relative to the root."""
    files = []
    for dialog, text in labels.items():
        write_labels(root, dialog, text)
        session = root / f"Session{dialog[4]}"
        transcript = session / "dialog" / "transcriptions" / f"{dialog}.txt"
        transcript.parent.mkdir(exist_ok=True)
        transcript.write_bytes(TEXTS.get(dialog, "").encode("latin-1"))
        for name in re.findall(r"\](?:\t| +)(Ses\w+)", text):
            recording = write_recording(session / "sentences" / "wav" / dialog / f"{name}{suffix}")
            files.append(recording.relative_to(root).as_posix())
    return files
