"""From a corpus on disk to a manifest: labels by the corpus's own reader, then every recording decoded once."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from emotune import audio
from emotune.channels import EACH, Channels, channel_id
from emotune.corpora.base import Corpus
from emotune.corpora.missing import Missing, counted
from emotune.corpora.skip_reasons import reason_counts
from emotune.corpora.table_columns import columns_text
from emotune.decoding.audibility import KINDS, Unheard
from emotune.errors import AudioError, CorpusError, TableError
from emotune.fingerprints import RATE_HZ, Fingerprint, copies_by_position, fingerprint
from emotune.labels import LabelSpace, Scale, in_class_order
from emotune.manifest import Manifest, Skipped, Utterance, by_recording, check_utterance, segment_of
from emotune.progress import Progress, silent
from emotune.registry import unknown_name_message


@dataclass(frozen=True)
class _Heard:
    """An utterance whose recording was decoded."""

    utterance: Utterance
    fingerprint: Fingerprint
    unheard: Unheard | None


def read_corpus(
    corpus: Corpus,
    root: Path,
    *,
    audio_root: Path | None = None,
    columns: Mapping[str, str] | None = None,
    dimensions: Mapping[str, Scale] | None = None,
    extract_to: Path | None = None,
    trust_pickle: bool = False,
    licence: str | None = None,
    labels: str | None = None,
    labels_only: bool = False,
    unlabelled: bool = False,
    channel: Channels = "mix",
    progress: Progress = silent,
) -> Manifest:
    """Read a corpus into a manifest; unreadable and unlabelled files are skipped, counted and named.

    Args:
        corpus: an entry of ``CORPORA``.
        root: the corpus's folder, or the table file for ``table``.
        audio_root, columns, dimensions, unlabelled, extract_to: for corpora that take them, see
            ``emotune.corpora.table.read``.
        trust_pickle: for ``audformat``: let the library load pickled tables, which can run code.
        licence: what the model card says of the recordings, where the corpus does not know it.
        labels: which of ``corpus.label_sources`` to take; None = the first.
        labels_only: look at no recording: durations and fingerprints stay unknown, and nothing can be trained on it.
        channel: which channel of each recording, unless its row says so; ``each`` = an utterance for every channel.
        progress: shows how far the decoding is.

    Raises:
        CorpusError: when nothing can be read. A shortfall against the known totals is a warning in ``information``.
    """
    of_table = {"columns": columns, "dimensions": dimensions, "unlabelled": unlabelled}
    options: dict[str, Any] = {
        **of_table,
        "audio_root": audio_root,
        "extract_to": extract_to,
        "trust_pickle": trust_pickle,
    }
    options = {name: value for name, value in options.items() if value}
    refused = [name for name in options if name not in corpus.takes]
    if refused:
        reason = "" if refused == ["trust_pickle"] else ": those describe a table of your own"
        raise CorpusError(f"Corpus '{corpus.name}' takes no {', '.join(refused)}{reason}.")
    if labels_only and channel == EACH:
        raise CorpusError("How many channels there are is not known where no recording is looked at: name one channel.")
    if labels is not None and labels not in corpus.label_sources:
        raise CorpusError(unknown_name_message(f"source of labels for '{corpus.name}'", labels, corpus.label_sources))
    if corpus.label_sources:
        options["labels"] = labels or corpus.label_sources[0]
    found = list(corpus.read(root, **options))
    facts = dict(corpus.information(root, **of_table)) if corpus.information else {}
    folder = extract_to or audio_root or (root.parent if corpus.single_file or root.is_file() else root)
    scales = dict(dimensions or (corpus.scales(root, **options) if corpus.scales else corpus.dimensions))
    spread = list(
        found if channel == "mix" else chain.from_iterable(_of_channel(item, folder, channel) for item in found)
    )
    skipped = [item for item in spread if isinstance(item, Skipped)]
    labelled, repeated = _unique([item for item in spread if isinstance(item, Utterance)])
    classes = in_class_order(utterance.emotion for utterance in labelled if utterance.emotion)
    space = LabelSpace(classes, scales)
    described = [_described(corpus, space, utterance) for utterance in labelled]
    probed = described if labels_only else _probed(folder, "audio_root" in corpus.takes, described, progress)
    skipped += repeated + [item for item in probed if isinstance(item, Skipped)]
    utterances = _with_copies([item for item in probed if not isinstance(item, Skipped)])
    if not utterances:
        reasons = "; ".join(f"{count}x {reason}" for count, reason in reason_counts(skipped)[:3])
        taken = f" Columns taken: {columns_text(facts['columns'])}." if facts.get("columns") else ""
        raise CorpusError(
            f"{root}: no utterance of corpus '{corpus.name}' could be read. Skipped: {reasons or 'nothing'}.{taken}"
        )
    space = LabelSpace(in_class_order(u.emotion for u in utterances if u.emotion), scales)
    information = {
        "corpus": corpus.name,
        "licence": licence or corpus.licence,
        "reference": corpus.reference,
        **({"labels": options["labels"]} if "labels" in options else {}),
        "warnings": [*corpus.cautions, *_shortfalls(corpus, utterances), *_unknown(utterances, scales)],
    }
    if missing := counted(item for item in found if isinstance(item, Missing)):
        information["missing"] = missing
    information |= facts | {"warnings": [*information["warnings"], *facts.get("warnings", [])]}
    deaf = {item.utterance.utterance_id: item.unheard for item in probed if isinstance(item, _Heard) and item.unheard}
    if deaf:
        information["unheard"] = {name: str(found) for name, found in deaf.items()}
        information["warnings"] += _unheard_sentences(deaf, len(utterances))
    if len(spread) > len(found):
        information["warnings"].append(
            f"{len(found)} rows became {len(spread)}, one for each channel: speaker and labels of a recording are those"
            " of each of its channels"
        )
    return Manifest(tuple(utterances), space, folder, information, tuple(skipped))


def _of_channel(
    item: Utterance | Skipped | Missing, folder: Path, channel: Channels
) -> Iterator[Utterance | Skipped | Missing]:
    """An utterance of the channel that is asked for, or one of each; what names its own channel stays as it is."""
    if not isinstance(item, Utterance) or item.channel is not None or channel == "mix":
        yield item
    elif channel == EACH:
        try:
            count = audio.channel_count(folder / item.file)
        except AudioError as error:
            yield Skipped(item.file, str(error))
            return
        for own in range(count):
            yield dataclasses.replace(item, utterance_id=channel_id(item.utterance_id, own), channel=own)
    else:
        yield dataclasses.replace(item, channel=channel)


def _unheard_sentences(deaf: Mapping[str, Unheard], total: int) -> list[str]:
    """One sentence a kind, with the first of its utterances."""
    by_kind = {kind: [(name, found.words) for name, found in deaf.items() if found.kind == kind] for kind in KINDS}
    return [
        f"{len(found)} of {total} utterances are {kind}, such as {found[0][0]} ({found[0][1]}): nothing can be heard in"
        " them"
        for kind, found in by_kind.items()
        if found
    ]


def _unique(utterances: Sequence[Utterance]) -> tuple[list[Utterance], list[Skipped]]:
    seen: dict[str, str] = {}
    kept, repeated = [], []
    for utterance in utterances:
        if utterance.utterance_id in seen:
            first = seen[utterance.utterance_id]
            repeated.append(Skipped(utterance.file, f"utterance_id '{utterance.utterance_id}' is already {first}"))
        else:
            seen[utterance.utterance_id] = utterance.file
            kept.append(utterance)
    return kept, repeated


def _with_copies(probed: Sequence[Utterance | _Heard]) -> list[Utterance]:
    """The utterances, each copy with the id of the one that it copies."""
    heard = [item for item in probed if isinstance(item, _Heard)]
    copies = copies_by_position(
        [item.fingerprint for item in heard],
        [item.utterance.content_sha256 or "" for item in heard],
        [item.utterance.file for item in heard],
    )
    return [
        *(item for item in probed if isinstance(item, Utterance)),
        *(
            dataclasses.replace(item.utterance, copy_of=heard[copies[position]].utterance.utterance_id)
            if position in copies
            else item.utterance
            for position, item in enumerate(heard)
        ),
    ]


def _described(corpus: Corpus, space: LabelSpace, utterance: Utterance) -> Utterance | Skipped:
    """The utterance with what the corpus as a whole says of it, or what is wrong with its labels."""
    try:
        check_utterance(utterance, space, utterance.file)
    except TableError as error:
        return Skipped(utterance.file, str(error))
    return dataclasses.replace(utterance, corpus=corpus.name, language=utterance.language or corpus.language)


def _probed(
    folder: Path, takes_audio_root: bool, described: Sequence[Utterance | Skipped], progress: Progress
) -> list[Utterance | _Heard | Skipped]:
    """What is heard of the utterances, each recording decoded once; what is skipped already stays so."""
    probed: list[Utterance | _Heard | Skipped] = list(described)
    places = [position for position, item in enumerate(described) if isinstance(item, Utterance)]
    utterances = [item for item in described if isinstance(item, Utterance)]
    groups = by_recording(utterances)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = pool.map(
            partial(_heard_in, folder, takes_audio_root), ([utterances[n] for n in group] for group in groups)
        )
        pairs = (pair for group, heard in zip(groups, results, strict=True) for pair in zip(group, heard, strict=True))
        for number, heard in progress(pairs, total=len(utterances), title="reading"):
            probed[places[number]] = heard
    return probed


def _heard_in(folder: Path, takes_audio_root: bool, utterances: Sequence[Utterance]) -> list[_Heard | Skipped]:
    """Decode a recording once: its utterances' durations, contents and spectral fingerprints, or what is wrong."""
    path, segments = folder / utterances[0].file, [segment_of(utterance) for utterance in utterances]
    found: dict[int, _Heard | Skipped] = {}
    cure = ""
    if takes_audio_root and not path.exists():
        cure = f" Paths start from {folder}; give another folder with --audio-root."
    for position, heard in audio.clips(path, segments, sampling_rate_hz=RATE_HZ, with_content=True):
        utterance = utterances[position]
        if isinstance(heard, AudioError):
            found[position] = Skipped(utterance.file, f"{heard}{cure}")
            continue
        duration_s, content = round(heard.duration_s, 6), heard.content_sha256
        known = dataclasses.replace(utterance, duration_s=duration_s, content_sha256=content)
        found[position] = _Heard(known, fingerprint(heard.samples), heard.unheard)
    return [found[position] for position in range(len(utterances))]


def _shortfalls(corpus: Corpus, utterances: Sequence[Utterance]) -> list[str]:
    counts = {"utterances": len(utterances), "speakers": len({u.speaker for u in utterances if u.speaker})}
    return [
        f"{corpus.name}: {counts[what]} {what} read, the complete corpus has {expected}"
        for what, expected in corpus.expected.items()
        if counts[what] != expected
    ]


def _unknown(utterances: Sequence[Utterance], scales: Mapping[str, Scale]) -> list[str]:
    """What training or an honest evaluation will miss."""
    without = {
        "emotion, dimension or votes": sum(u.emotion is None and not u.dimensions and not u.votes for u in utterances),
        "speaker": sum(u.speaker is None for u in utterances),
    }
    cures = {
        "emotion, dimension or votes": "nothing can be learnt of them",
        "speaker": "whether splits share speakers cannot be checked for them",
    }
    return [
        f"{count} of {len(utterances)} utterances have no {what}: {cures[what]}"
        for what, count in without.items()
        if count
    ]


def map_classes(
    manifest: Manifest, mapping: Mapping[str, str], drop: Sequence[str] = ()
) -> tuple[Manifest, dict[str, int]]:
    """Rename and drop classes; the report counts every change: ``{"calm -> neutral": 192, "surprise dropped": 192}``.

    Raises:
        CorpusError: when a class to map or drop does not occur in the manifest.
    """
    voted = {name for utterance in manifest for name in utterance.votes}
    known = {*manifest.label_space.classes, *voted}
    unknown = [name for name in [*mapping, *drop] if name not in known]
    if unknown:
        raise CorpusError(
            f"Classes to map or drop that the manifest does not have: {', '.join(unknown)}."
            f" It has: {', '.join(manifest.label_space.classes)}."
        )
    report: Counter[str] = Counter()
    for name in [*mapping, *drop]:
        if name not in manifest.label_space.classes:  # no label, but votes
            change = f"-> {mapping[name]}" if name in mapping else "dropped"
            report[f"votes for {name} {change}"] = sum(bool(utterance.votes.get(name)) for utterance in manifest)
    kept = []
    for utterance in manifest:
        emotion = utterance.emotion or ""
        if emotion in drop:
            report[f"{emotion} dropped"] += 1
        elif emotion in mapping:
            report[f"{emotion} -> {mapping[emotion]}"] += 1
            kept.append(
                dataclasses.replace(utterance, emotion=mapping[emotion], votes=_merged(utterance.votes, mapping, drop))
            )
        else:
            kept.append(dataclasses.replace(utterance, votes=_merged(utterance.votes, mapping, drop)))
    classes = in_class_order(mapping.get(name, name) for name in manifest.label_space.classes if name not in drop)
    earlier = manifest.information.get("class_mapping", {})
    information = {**manifest.information, "class_mapping": {**earlier, **report}}
    mapped = dataclasses.replace(
        manifest,
        utterances=tuple(kept),
        label_space=LabelSpace(classes, manifest.label_space.dimensions),
        information=information,
    )
    return mapped, dict(report)


def _merged(votes: Mapping[str, float], mapping: Mapping[str, str], drop: Sequence[str]) -> dict[str, float]:
    merged: Counter[str] = Counter()
    for name, count in votes.items():
        if name in drop:
            continue
        merged[mapping.get(name, name)] += count  # pyright: ignore[reportArgumentType]
    return dict(merged)
