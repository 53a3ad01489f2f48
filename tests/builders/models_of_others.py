"""Models of others that pages name, tiny and with random weights: in folders, and in a cache of the Hub."""

import hashlib
from functools import partial
from pathlib import Path

import torch

from builders.originals import LARGE, SMALL, model_of, moved, their_settings, their_weights

EMOTIONS = {0: "neu", 1: "hap", 2: "ang", 3: "sad"}
TEXTS = ("I am livid.", "Kids are talking by the door.")


def write_models_of_others(folder: Path, shared: Path) -> None:
    """Writes ``trainer-output``, ``WavLM-Large.pt`` and ``hub``, the Hub's cache, in which the recogniser is real."""
    import transformers

    hub, extractor = partial(_snapshot, folder / "hub"), transformers.Wav2Vec2FeatureExtractor()
    for name, kind in (("facebook/hubert-base-ls960", "hubert"), ("microsoft/wavlm-base-plus", "wavlm")):
        model_of(kind, SMALL).save_pretrained(hub(name))
        extractor.save_pretrained(hub(name))
    for place in (hub("superb/hubert-large-superb-er"), folder / "trainer-output"):
        config = transformers.HubertConfig(**LARGE, classifier_proj_size=8, id2label=EMOTIONS)
        moved(transformers.HubertForSequenceClassification(config)).save_pretrained(place)
        extractor.save_pretrained(place)
    original = {"cfg": their_settings(SMALL, normalize=True), "model": their_weights(model_of("wavlm", SMALL))}
    torch.save(original, folder / "WavLM-Large.pt")
    hub("Systran/faster-whisper-small").symlink_to(shared / "models" / "whisper-tiny.en-ct2")
    _write_text_encoder(hub("FacebookAI/roberta-large"))


def put_on_desk(desk: Path, written: Path) -> None:
    """Lays what was written where a reader has it: the Hub's cache in the home folder, the others at hand."""
    (desk / "home" / "huggingface").mkdir(parents=True)
    for place, name in (
        ("home/huggingface/hub", "hub"),
        ("path/to/trainer-output", "trainer-output"),
        ("WavLM-Large.pt", "WavLM-Large.pt"),
    ):
        (desk / place).symlink_to(written / name)


def _snapshot(cache: Path, name: str) -> Path:
    """Folder in a cache of the Hub where the newest commit of a repository lies; it is not made."""
    commit = hashlib.sha1(name.encode()).hexdigest()
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots").mkdir(exist_ok=True)
    return repository / "snapshots" / commit


def _write_text_encoder(folder: Path) -> None:
    """A RoBERTa of one layer, as wide as the large one."""
    import tokenizers
    import transformers

    marks = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    letters = tokenizers.ByteLevelBPETokenizer()
    letters.train_from_iterator(TEXTS, vocab_size=300, special_tokens=marks)
    folder.mkdir()
    letters.save_model(str(folder))
    transformers.RobertaTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
    shape = {"hidden_size": 1024, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 16}
    transformers.RobertaModel(transformers.RobertaConfig(**shape, vocab_size=300)).save_pretrained(folder)
