"""Words against voice of a run: reading of its transcripts, controls, and the section of the model's card."""

from __future__ import annotations

from pathlib import Path

from emotune.enrichment.text_encoder import TextEncoder
from emotune.errors import ConfigError
from emotune.evaluation.words.against_voice import WordsAgainstVoice, words_against_voice
from emotune.evaluation.words.controls import run_controls, takes_words
from emotune.evaluation.words.reader import FittedReader, LexiconReader, Reader, has_transcript
from emotune.inference.predictor import Predictor
from emotune.io.tables import write_text
from emotune.models.card_text import plain, with_section
from emotune.models.folder import CARD
from emotune.report.words_section import TITLE, card_lines
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.run_folder import LoneModel, RunFolder
from emotune.schema.splits import TRAIN

FOLDER = "words"


def read_words(
    run: RunFolder,
    predictor: Predictor,
    manifest: Manifest,
    predictions: Predictions,
    folder: Path,
    *,
    controls: bool,
    text_encoder: str | None,
    resamples: int,
    progress: Progress = silent,
) -> WordsAgainstVoice | None:
    """Holds words against voice, with controls or by a text encoder.

    Raises:
        ConfigError: without transcripts or classes, or when a text encoder cannot be fitted.
    """
    spoken = any(has_transcript(u) for u in manifest) and bool(manifest.label_space.classes)
    if not spoken or not predictor.label_space.classes:
        raise ConfigError(
            "Words against voice need transcripts and classes: write the words down with `emotune transcribe`, or"
            " leave out --words and --text-encoder."
        )
    reader = _reader(run, text_encoder)
    controlled = None
    if controls:
        said = reader.read(manifest.utterances, predictor.label_space.classes)
        controlled = run_controls(predictor, manifest, said, folder / FOLDER, progress=progress)
    return words_against_voice(
        manifest,
        predictions,
        reader,
        controlled=controlled,
        takes_words=takes_words(predictor),
        resamples=resamples,
    )


def add_to_card(run: RunFolder, found: WordsAgainstVoice, name: str) -> None:
    """Puts the section on words against voice into the card of a run's model, in place of an earlier one."""
    card = run.model / CARD
    if card.is_file():
        text = card.read_text(encoding="utf-8")
        write_text(card, with_section(text, TITLE, card_lines(found, plain(name))))


def _reader(run: RunFolder, text_encoder: str | None) -> Reader:
    if text_encoder is None:
        return LexiconReader()
    if isinstance(run, LoneModel):
        raise ConfigError(
            f"--text-encoder is fitted to the training split of a run, and {run.name} is a model without its run:"
            " leave it out."
        )
    training = Manifest.read(run.manifest).filter(lambda utterance: utterance.split == TRAIN)
    encoder = TextEncoder(text_encoder)
    return FittedReader(encoder.encode, training, name=Path(text_encoder).name)
