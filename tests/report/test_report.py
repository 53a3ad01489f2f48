"""The report: one page that needs nothing else, shows everything, and lets no text become markup."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from emotune.evaluation import Evaluation, evaluate
from emotune.report.evaluation_page import write_report
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.utterance import Utterance

EVIL = "<script>alert('x')</script> & \"co\""
CLASSES = ("anger", "happiness", f"odd {EVIL}")
VOID = {"meta", "br", "hr", "img", "input", "link"}
HISTORY = [
    {"epoch": n, "train_loss": 2 / n, "development_loss": 1 + 1 / n, "development_uar": 0.5 - 0.01 * (n - 3) ** 2}
    for n in range(1, 6)
]


class Page(HTMLParser):
    """What a browser would see: nesting, ids, attributes, text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.labels: list[str] = []
        self.text = ""
        self.faults: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "svg":
            self.labels.append(dict(attrs).get("aria-label") or "")
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        if not self.stack or self.stack.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        if self.stack and self.stack[-1] not in ("style", "script"):
            self.text += data


def evaluation(speakers: int = 5, *, dimensions: bool = True, known: bool = True, failed: bool = True) -> Evaluation:
    generator = np.random.default_rng(0)
    scales = {"arousal": Scale(1, 7)} if dimensions else {}
    space = LabelSpace(CLASSES, scales)
    utterances, rows = [], []
    for n in range(speakers * 12):
        name, emotion = f"u{n}", CLASSES[n % 3]
        values = {dimension: float(generator.uniform(1, 7)) for dimension in scales}
        who = f"{EVIL} {n % speakers}" if known else None
        gender = ("female", "male")[n % 2]
        utterances.append(
            Utterance(
                name, "a.wav", duration_s=1 + n % 9, speaker=who, gender=gender, emotion=emotion, dimensions=values
            )
        )
        chances = generator.dirichlet(np.ones(3) + 2 * (np.arange(3) == n % 3))
        rows.append(Prediction(name, dict(zip(CLASSES, chances.tolist(), strict=True)), values))
    if failed:
        rows[4] = Prediction("u4", error=EVIL)
    return evaluate(Manifest(tuple(utterances), space, Path()), Predictions(tuple(rows), space), resamples=100)


def write(folder: Path, found: Evaluation | None = None, **others) -> tuple[str, Page]:
    options = {"title": EVIL, "information": {EVIL: {"a": [EVIL]}}, "history": HISTORY, "notices": [EVIL]} | others
    write_report(folder, found or evaluation(), **options)
    source = (folder / "report.html").read_text(encoding="utf-8")
    return source, Page(source)


def test_the_page_is_well_formed_and_has_every_section(tmp_path):
    source, page = write(tmp_path)
    assert page.faults == []
    assert page.stack == []
    assert source.startswith("<!doctype html>")
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    sections = "figures notes fairness confusion classes dimensions speakers groups calibration learning information"
    assert set(sections.split()) <= set(ids)


def test_the_page_needs_no_other_file(tmp_path):
    source, page = write(tmp_path)
    assert not {"script", "link", "iframe", "img", "object", "embed"} & set(page.tags)
    assert not re.search(r"https?:|@import|//[a-z]", source)
    references = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "srcset", "action")]
    assert all(value.startswith("#") for value in references)
    assert all(target.startswith("#") for target in re.findall(r"url\(['\"]?([^)]*)\)", source))


def test_what_a_figure_refers_to_is_on_the_page(tmp_path):
    source, page = write(tmp_path)
    ids = {value for name, value in page.attributes if name == "id"}
    references = {value[1:] for name, value in page.attributes if name == "href"}
    references |= set(re.findall(r"url\(#([^)]*)\)", source))
    references |= {value for name, value in page.attributes if name == "aria-labelledby"}
    assert references
    assert references <= ids


def test_text_from_outside_never_becomes_markup(tmp_path):
    source, page = write(tmp_path)
    assert "<script" not in source
    assert page.text.count(EVIL) >= 5


def test_every_figure_has_an_alternative_in_words_and_follows_the_page_colours(tmp_path):
    source, page = write(tmp_path)
    assert len(page.labels) == 8
    assert all(len(label) > 20 for label in page.labels)
    drawings = " ".join(re.findall(r"<svg.*?</svg>", source, flags=re.DOTALL))
    assert not re.search(r"#[0-9a-fA-F]{6}\b(?!\w)(?=[;\"])", drawings)


def test_failures_and_notices_are_banners(tmp_path):
    _, page = write(tmp_path)
    assert page.attributes.count(("class", "notice")) == 2
    assert "because the prediction failed: 1 of 60 utterances." in page.text


def test_the_best_epoch_is_that_of_the_highest_development_score_or_the_marked_one(tmp_path):
    _, page = write(tmp_path)
    assert "Epoch 3, dashed, has the highest UAR in development." in page.text
    marked = [row | {"best": row["epoch"] == 5} for row in HISTORY]
    _, page = write(tmp_path, history=marked)
    assert "Epoch 5, dashed, was kept." in page.text
    _, page = write(tmp_path, history=[row | {"best": False} for row in HISTORY])
    assert "No epoch is better than the start, which was kept." in page.text


@pytest.mark.parametrize(
    ("found", "absent"),
    [
        (evaluation(dimensions=False, failed=False), "dimensions"),
        (evaluation(known=False), "speakers"),
        (evaluation(1), None),
        (evaluation(60), None),
    ],
)
def test_what_there_is_not_makes_no_section(tmp_path, found, absent):
    _, page = write(tmp_path, found, history=[], information={}, notices=[])
    ids = {value for name, value in page.attributes if name == "id"}
    assert page.faults == []
    assert not ids & {"learning", "information", absent}


def test_dimensions_without_classes_make_a_page_too(tmp_path):
    rows = [Utterance(f"u{n}", "a.wav", speaker=f"s{n % 3}", dimensions={"valence": n / 10}) for n in range(10)]
    space = LabelSpace((), {"valence": Scale(0, 1)})
    said = [Prediction(f"u{n}", dimensions={"valence": (n % 7) / 10}) for n in range(10)]
    found = evaluate(Manifest(tuple(rows), space, Path()), Predictions(tuple(said), space), resamples=20)
    _, page = write(tmp_path, found)
    ids = {value for name, value in page.attributes if name == "id"}
    assert "dimensions" in ids
    assert not ids & {"confusion", "classes", "calibration"}


def test_the_json_holds_the_same_figures_and_is_valid_without_nan(tmp_path):
    found = evaluation(1)
    write(tmp_path, found, information={"path": Path("runs/1"), "seed": 3})
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert data["overall"]["uar"] == {"value": found.overall["uar"].value, "low": None, "high": None}
    assert data["information"] == {"path": "runs/1", "seed": 3}
    assert data["history"][0]["epoch"] == 1
    assert data["notices"] == [EVIL]


def test_the_same_evaluation_gives_the_same_page(tmp_path):
    found = evaluation()
    assert write(tmp_path / "a", found)[0] == write(tmp_path / "b", found)[0]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["report.html", "report.json"]


def test_no_pyplot_state_is_touched(tmp_path):
    import subprocess
    import sys

    import matplotlib

    before = dict(matplotlib.rcParams)
    write(tmp_path)
    assert dict(matplotlib.rcParams) == before
    program = "import sys, emotune.report.evaluation_page; print('matplotlib.pyplot' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
