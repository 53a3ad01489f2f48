"""emotune corpus: read a corpus into a manifest, look at it, join it with others, split it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emotune.cli.augment import augment
from emotune.cli.check import check
from emotune.cli.console import (
    SpreadsheetSafe,
    counts_text,
    err,
    number_in,
    out,
    pairs,
    scales_named,
    show_progress,
    table,
    warn_all,
)
from emotune.cli.join import join
from emotune.cli.label import label
from emotune.corpora import CORPORA, ReadingOptions
from emotune.io.tables import check_output, to_json

if TYPE_CHECKING:
    from emotune.schema.manifest import Manifest
    from emotune.votes.agreement import Agreement

app = typer.Typer(
    help="Read a corpus into a manifest, look at it, join it with others, split it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

app.command()(check)
app.command()(join)
app.command()(label)
app.command()(augment)

MergeSpeakers = Annotated[
    bool, typer.Option("--merge-speakers", help="Take names that differ only in case, spaces, _ or - for one speaker.")
]
Output = Annotated[Path, typer.Option("-o", "--output", help="The manifest to write: .csv, .jsonl or .parquet.")]


@app.command()
def read(
    name: Annotated[str, typer.Argument(help=f"Which corpus: {', '.join(CORPORA.own)}, or another package's.")],
    root: Annotated[Path, typer.Argument(help="Its folder; for `table`, the table file; for `emobox`, either.")],
    output: Output,
    audio_root: Annotated[
        Path | None, typer.Option(help="table, kaldi, emobox: the folder that paths start from.")
    ] = None,
    column: Annotated[
        list[str],
        typer.Option(
            help="table, audiofolder: FIELD=COLUMN for a column of another name; FIELD=none for a field without one."
        ),
    ] = [],
    scale: Annotated[list[str], typer.Option(help="table, audiofolder: DIMENSION=LOW:HIGH, such as arousal=1:7.")] = [],
    extract_to: Annotated[
        Path | None, typer.Option(help="table: the folder that recordings in the table itself are written to.")
    ] = None,
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="audformat: load pickled tables, which can run code on this machine.")
    ] = False,
    channel: Annotated[
        str, typer.Option(help="mix (the mean), a number (the first is 0), or each: an utterance for every channel.")
    ] = "mix",
    map: Annotated[list[str], typer.Option(help="CLASS=CLASS: rename or merge a class.")] = [],
    drop: Annotated[list[str], typer.Option(help="A class to leave out.")] = [],
    licence: Annotated[str | None, typer.Option(help="Licence of the recordings, for the model card.")] = None,
    labels: Annotated[
        str | None, typer.Option(help="Whose labels, for a corpus with several sources; default its first.")
    ] = None,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="table, audiofolder: read it though it has no labels.")
    ] = False,
    labels_only: Annotated[
        bool, typer.Option("--labels-only", help="Look at no recording: for counts and agreement, not for training.")
    ] = False,
    ratings: Annotated[
        bool,
        typer.Option(
            "--ratings",
            help="Of your own data: each row is one person's rating; rows of one recording become its votes.",
        ),
    ] = False,
    separator: Annotated[
        str | None,
        typer.Option(
            help="Of your own data: the sign between several labels in one cell, such as ';'; they become votes."
        ),
    ] = None,
    merge_speakers: MergeSpeakers = False,
    spreadsheet_safe: SpreadsheetSafe = False,
) -> None:
    """Read a corpus into a manifest; what is skipped is counted with its reason."""
    from emotune.audio.channels import channels_named
    from emotune.corpora.read import read_corpus
    from emotune.corpora.skip_reasons import reason_counts

    check_output(output, inputs=[root], spreadsheet_safe=spreadsheet_safe)
    manifest = read_corpus(
        CORPORA[name],
        root,
        ReadingOptions(
            audio_root=audio_root,
            columns=pairs(column, "--column", "FIELD=COLUMN"),
            dimensions=scales_named(scale),
            extract_to=extract_to,
            trust_pickle=trust_pickle,
            licence=licence,
            labels=labels,
            labels_only=labels_only,
            unlabelled=unlabelled,
            channel=channels_named(channel),
            ratings=ratings,
            separator=separator,
            mapping=pairs(map, "--map", "CLASS=CLASS"),
            drop=drop,
            merge_speakers=merge_speakers,
        ),
        progress=show_progress,
    )
    manifest.write(output, spreadsheet_safe=spreadsheet_safe)
    _print_mapped(manifest.information.get("class_mapping", {}))
    _print_merged(manifest.information.get("spellings_merged", {}))
    _print_columns(manifest.information)
    warn_all(manifest.information.get("warnings", []))
    if manifest.skipped:
        reasons = reason_counts(manifest.skipped)
        err.print(f"skipped {len(manifest.skipped)}:", markup=False)
        for count, reason in reasons[:10]:
            err.print(f"  {count} x {reason}", markup=False)
        if len(reasons) > 10:
            err.print(f"  and {len(reasons) - 10} more kinds of reasons", markup=False)
        if len(manifest.skipped) > len(reasons):
            err.print(f"  each with its reason in {output.name}.meta.json", markup=False)
    out.print(_summary(manifest, output), markup=False)
    if scales := manifest.label_space.dimensions:
        alone = "" if manifest.label_space.classes else "data.classes=false train.metric=ccc "
        err.print(f"dimensions are learnt with {alone}data.dimensions=[{','.join(scales)}]", markup=False)


def _print_columns(information: Mapping[str, Any]) -> None:
    """Prints the columns taken and not used of a user's table, and its missing values."""
    from emotune.corpora.tables.columns import columns_text

    if taken := information.get("columns"):
        err.print(f"columns taken: {columns_text(taken)}", markup=False)
    if unused := information.get("columns_not_used"):
        err.print(f"columns not used, but carried along: {', '.join(unused)}", markup=False)
    if missing := information.get("missing"):
        fields = (
            f"{field} {sum(counts.values())} ({', '.join(repr(word) for word in counts)})"
            for field, counts in missing.items()
        )
        err.print(f"missing values: {', '.join(fields)}", markup=False)


@app.command()
def show(
    manifest_path: Annotated[Path, typer.Argument(metavar="MANIFEST")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Counts by class, speaker, gender, split and duration, and the agreement of votes where there are some."""
    from emotune.corpora.overview import overview_of

    overview = overview_of(manifest_path)
    manifest, counts = overview.manifest, overview.counts
    if as_json:
        from emotune.evaluation.raters import rater_agreements

        raters = [item.to_json() for item in rater_agreements(manifest)]
        typer.echo(to_json({**overview.to_json(), **({"raters": raters} if raters else {})}))
        return
    out.print(_summary(manifest, manifest_path), markup=False)
    splits = sorted({utterance.split or "-" for utterance in manifest})
    by_class_and_split = Counter((utterance.emotion or "-", utterance.split or "-") for utterance in manifest)
    names = [*manifest.label_space.classes, *(["-"] if "-" in counts["emotion"] else [])]
    rows = [[name, *(by_class_and_split[(name, s)] for s in splits), counts["emotion"].get(name, 0)] for name in names]
    table("by class and split", ["class", *splits, "all"], rows)
    for field in ("gender", "speaker"):
        table(f"\nby {field}", [field, "utterances"], counts[field].items())
    low, middle, high = (counts["duration_s"][name] for name in ("min", "median", "max"))
    if math.isfinite(low):
        out.print(f"\nduration: shortest {low:.2f} s, median {middle:.2f} s, longest {high:.2f} s")
    for name, bounds in manifest.label_space.dimensions.items():
        values = [utterance.dimensions[name] for utterance in manifest if name in utterance.dimensions]
        mean = sum(values) / max(len(values), 1)
        out.print(f"{name}: {len(values)} values on [{bounds.low:g}, {bounds.high:g}], mean {mean:.3f}")
    if overview.agreement is not None:
        _print_agreement(overview.agreement)
    print_raters(manifest)
    warn_all(overview.warnings)


@app.command()
def split(
    manifest_path: Annotated[Path, typer.Argument(metavar="MANIFEST")],
    output: Output,
    share: Annotated[list[str], typer.Option(help="SPLIT=SHARE; shares sum to 1.")] = [
        "train=0.7",
        "development=0.15",
        "test=0.15",
    ],
    folds: Annotated[int | None, typer.Option(help="Equal parts fold_1, fold_2, ... instead of shares.")] = None,
    group: Annotated[str, typer.Option(help="What no two splits share: speaker or session.")] = "speaker",
    seed: Annotated[
        int, typer.Option(help="0: the best balanced split found; others draw among those nearly as balanced.")
    ] = 0,
    merge_speakers: MergeSpeakers = False,
    spreadsheet_safe: SpreadsheetSafe = False,
) -> None:
    """Speaker-independent splits or folds, balanced by class and gender."""
    from emotune.corpora.splitting import split_manifest

    done = split_manifest(
        manifest_path,
        output,
        shares={name: number_in(value, f"--share {name}={value}") for name, value in pairs(share, "--share").items()},
        folds=folds,
        group=group,
        seed=seed,
        merge_speakers=merge_speakers,
        spreadsheet_safe=spreadsheet_safe,
    )
    _print_merged(done.merged)
    result = done.manifest
    for name, count in sorted(Counter(utterance.split or "-" for utterance in result).items()):
        speakers = {utterance.speaker for utterance in result if utterance.split == name}
        classes = Counter(utterance.emotion for utterance in result if utterance.split == name)
        out.print(
            f"{name}: {count} utterances, {len(speakers)} speakers, "
            + counts_text({c: classes[c] for c in result.label_space.classes}),
            markup=False,
        )
    warn_all(done.warnings)
    out.print(f"wrote {output}", markup=False)


def _print_mapped(report: Mapping[str, int]) -> None:
    if report:
        err.print(f"classes mapped: {counts_text(report)}", markup=False)


def _print_merged(merged: Mapping[str, str]) -> None:
    from emotune.schema.speakers import as_written

    if merged:
        changes = ", ".join(f"'{as_written(name)}' -> '{as_written(kept)}'" for name, kept in merged.items())
        err.print(f"names merged: {changes}", markup=False)


def _print_agreement(found: Agreement) -> None:
    fewest, middle, most = found.votes
    out.print(
        f"\nvotes: {found.with_votes} utterances, {fewest:g} to {most:g} votes each, median {middle:g}; of"
        f" {found.compared} with two votes and more: Krippendorff's alpha {found.alpha:.3f},"
        f" mean share of the most voted class {found.mean_share:.3f}, {found.tied} tied,"
        f" {found.without_majority} without a majority; {found.without_emotion} with votes have no emotion"
    )
    rows = [[item.name, item.utterances, f"{item.mean_share:.3f}"] for item in found.by_class]
    table("by most voted class", ["class", "utterances", "its mean share"], rows)


def print_raters(manifest: Manifest) -> None:
    """Prints a line for each named rater: its agreement with the labels."""
    from emotune.evaluation.raters import rater_agreements

    for item in rater_agreements(manifest):
        out.print(
            f"\nrater {item.rater}: {item.rated} utterances, {item.answers} answers, {item.unparsed} unparsed,"
            f" {item.without_answer} utterances without an answer; the votes of {item.votes_written} utterances are its"
            " own",
            markup=False,
        )
        if item.labelled:
            out.print(
                f"  against {item.labelled} labels: UAR {item.uar.in_words()} (chance {item.chance:.3f}; without an"
                f" answer counts as wrong); of the {item.compared} with an answer Cohen's kappa"
                f" {item.kappa.in_words()}, Krippendorff's alpha {item.alpha.in_words()}",
                markup=False,
            )


def _summary(manifest: Manifest, path: Path) -> str:
    from emotune.corpora.overview import counts_of

    counts = counts_of(manifest)
    length = f"{counts['hours']:.2f} h" if math.isfinite(counts["hours"]) else "length unknown"
    speakers = [name for name in counts["speaker"] if name != "-"]
    gender_of = {u.speaker: u.gender for u in manifest if u.speaker}
    genders = Counter(gender or "unknown" for gender in gender_of.values())
    classes, scales = manifest.label_space.classes, manifest.label_space.dimensions
    return (
        f"{path}: {counts['utterances']} utterances, {length}, {len(speakers)} speakers"
        f" ({counts_text(dict(sorted(genders.items()))) or 'none named'}),"
        f" {len(classes)} classes"
        + (f" ({', '.join(classes)})" if classes else "")
        + "".join(f", {name} on [{scale.low:g}, {scale.high:g}]" for name, scale in scales.items())
    )
