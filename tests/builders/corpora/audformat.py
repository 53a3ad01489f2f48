"""Databases in audformat, written by its own library."""

from pathlib import Path

import audformat
import pandas

FILES = ["wav/a.wav", "wav/b.wav"]
GERMAN = {"a01": "Der Lappen liegt auf dem Eisschrank.", "b01": "Was sind denn das für Tüten?"}


def write_labels(root: Path, files: list[str]) -> Path:
    """The smallest one: a table with emotions and speakers."""
    database = audformat.Database("own")
    database.schemes["emotion"] = audformat.Scheme(labels=["anger", "neutral"])
    database["emotion"] = audformat.Table(audformat.filewise_index(files))
    set_column(database["emotion"], "emotion", ["anger"] * len(files), scheme="emotion")
    set_column(database["emotion"], "speaker", [f"s{number}" for number in range(len(files))])
    database.save(str(root), storage_format="csv")
    return root


def set_column(table: audformat.Table, name: str, values: list[object], *, scheme: str | None = None) -> None:
    table[name] = audformat.Column(scheme_id=scheme)
    table[name].set(values)


def write_emodb_2(root: Path, *, speakers_in_a_table: bool = False, storage_format: str = "csv") -> Path:
    """The layout of EmoDB's second version: emotions in gold standards of train and test, speakers with the files."""
    train, test = ["wav/03a01Wa.wav", "wav/03b01Nb.wav"], ["wav/08a01Fd.wav"]
    database = audformat.Database("emodb", languages=["german"], license="CC0-1.0")
    described = {3: {"gender": "male", "age": 31, "language": "deu"}, 8: {"gender": "female", "age": 34}}
    if speakers_in_a_table:
        database.schemes["age"] = audformat.Scheme("int")
        database["speaker"] = audformat.MiscTable(pandas.Index([3, 8], dtype="Int64", name="speaker"))
        set_column(database["speaker"], "gender", ["male", "female"])
        set_column(database["speaker"], "age", [31, None], scheme="age")
        database.schemes["speaker"] = audformat.Scheme("int", labels="speaker")
    else:
        database.schemes["speaker"] = audformat.Scheme(labels=described)
    database.schemes["emotion"] = audformat.Scheme(labels=["anger", "neutral", "happiness"])
    database.schemes["confidence"] = audformat.Scheme("float", minimum=0, maximum=1)
    database.schemes["transcription"] = audformat.Scheme(labels=GERMAN)
    for split, files, emotions in [("train", train, ["anger", "neutral"]), ("test", test, ["happiness"])]:
        name = f"emotion.categories.{split}.gold_standard"
        database[name] = audformat.Table(audformat.filewise_index(files))
        set_column(database[name], "emotion", emotions, scheme="emotion")
        set_column(database[name], "emotion.confidence", [0.9] * len(files), scheme="confidence")
    database["files"] = audformat.Table(audformat.filewise_index([*train, *test]))
    set_column(database["files"], "speaker", [3, 3, 8], scheme="speaker")
    set_column(database["files"], "transcription", ["a01", "b01", "a01"], scheme="transcription")
    database.save(str(root), storage_format=storage_format)
    return root
