"""Kaldi's data folder."""

from pathlib import Path

FILES = ["wavs/a.wav", "wavs/b.wav"]


def write_lines(folder: Path, **files: str) -> Path:
    """``wav_scp="a a.wav"`` becomes the line of the file ``wav.scp``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in files.items():
        (folder / name.replace("wav_scp", "wav.scp")).write_text(lines.rstrip("\n") + "\n", encoding="utf-8")
    return folder


def write_labels(root: Path, files: list[str]) -> Path:
    names = [Path(file).stem for file in files]
    return write_lines(
        root,
        wav_scp="\n".join(f"{name} {file}" for name, file in zip(names, files, strict=True)),
        utt2spk="\n".join(f"{name} speaker_{name}" for name in names),
        utt2emo="\n".join(f"{name} angry" for name in names),
    )
