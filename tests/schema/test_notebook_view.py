"""What a notebook shows of predictions: escaped, short, and with bars as long as the probabilities."""

import re
from html.parser import HTMLParser

import pytest

from builders.predictions import predictions_of, said
from emotune.schema.labels import Scale
from emotune.schema.predictions import Prediction

CLASSES = ("anger", "neutral")


class Parsed(HTMLParser):
    """Tags, texts and styles of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.styles: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.styles += [value or "" for name, value in attrs if name == "style"]

    def handle_data(self, data):
        self.texts.append(data)


def test_names_errors_and_classes_are_text_whatever_they_hold():
    bad = "<script>alert(1)</script>\"'&\udcff"
    classes = ("<i>", "neutral")
    row = said(bad, "<i>", classes=classes, warning=bad)
    for page in (row._repr_html_(), predictions_of(row, Prediction("b", error=bad), classes=classes)._repr_html_()):
        parsed = Parsed(page)
        assert set(parsed.tags) <= {"div", "table", "thead", "tbody", "tr", "th", "td", "b"}
        assert "<i>" in parsed.texts
        assert "<script>alert(1)</script>\"'&\\udcff" in " ".join(parsed.texts)
        page.encode()


def test_a_bar_is_as_long_as_its_probability_and_the_most_probable_stands_out():
    page = said("a", "neutral", 0.75, classes=CLASSES)._repr_html_()
    bars = re.findall(r"linear-gradient\(90deg, (rgba\([^)]*\)) ([\d.]+)%", page)
    assert [length for _, length in bars] == ["75.0", "25.0"]
    assert bars[0][0] != bars[1][0]
    assert Parsed(page).texts == ["a: ", "neutral", "neutral", "0.75", "anger", "0.25"]


def test_a_long_table_shows_its_first_rows_and_says_how_many_there_are():
    rows = [said(f"u{n}", "anger", classes=CLASSES, dimensions={"arousal": 3.0}) for n in range(50)]
    table = predictions_of(*rows, classes=CLASSES, dimensions={"arousal": Scale(1, 7)})
    texts = Parsed(table._repr_html_()).texts
    assert [text for text in texts if text.startswith("u")][1:] == [f"u{n}" for n in range(20)]
    assert texts[-1] == "50 predictions, the first 20 shown"


@pytest.mark.parametrize(
    "row",
    [
        Prediction("a", {}, {"arousal": 2.0}),
        Prediction("a", error="gone"),
        Prediction("a", dict.fromkeys(CLASSES, 0.5), uncertain=True),
    ],
)
def test_rows_of_every_kind_are_shown(row):
    classes = CLASSES if row.probabilities else ()
    shown = " ".join(
        Parsed(predictions_of(row, classes=classes, dimensions={"arousal": Scale(1, 7)})._repr_html_()).texts
    )
    for value in (row.utterance_id, row.error, "uncertain" if row.uncertain else None):
        assert value is None or value in shown
    assert row.utterance_id in row._repr_html_()
