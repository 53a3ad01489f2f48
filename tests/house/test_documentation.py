"""What the documentation shows is true of the code."""

import re
from pathlib import Path

import yaml
from pydantic import BaseModel

from builders.installed import install, package_with_model
from emotune.config.reading import load_recipe
from emotune.config.recipe import Recipe
from emotune.config.sequences import SequenceRecipe, load_sequence_recipe
from emotune.corpora.tables.rows import COLUMN_NAMES, DIMENSION_NAMES
from emotune.models.aggregations import POOLINGS
from emotune.recipes import recipe_names
from emotune.schema.labels import LabelSpace

ROOT = Path(__file__).parents[2]


def test_the_recipe_reference_lists_every_key_and_reads(tmp_path):
    block = re.search(
        r"```yaml\n(.*?)```", (ROOT / "docs" / "reference" / "recipes.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert block is not None
    path = tmp_path / "reference.yaml"
    path.write_text(block.group(1), encoding="utf-8")
    shown = yaml.safe_load(block.group(1))
    recipe = load_recipe(path)
    for section in ("data", "augmentation", "loss", "train", "probe", "model"):
        assert set(shown[section]) == set(type(getattr(recipe, section)).model_fields), section
    assert set(shown) == set(Recipe.model_fields)
    for section in ("backbone", "varan"):
        assert set(shown["model"][section]) == set(type(getattr(recipe.model, section)).model_fields)
    for section in shown["loss"]:
        assert set(shown["loss"][section]) == set(type(getattr(recipe.loss, section)).model_fields)


def test_the_defaults_in_the_recipe_reference_are_those_of_the_code(tmp_path):
    block = re.search(
        r"```yaml\n(.*?)```", (ROOT / "docs" / "reference" / "recipes.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert block is not None
    shown = yaml.safe_load(block.group(1))
    for section in ("train", "augmentation", "probe", "loss"):
        fields = Recipe.model_fields[section].annotation.model_fields
        defaults = {name: field.get_default(call_default_factory=True) for name, field in fields.items()}
        told = {name: value.model_dump() if isinstance(value, BaseModel) else value for name, value in defaults.items()}
        assert {name: str(value) for name, value in shown[section].items()} == {
            name: str(value) for name, value in told.items()
        }


def test_every_bundled_recipe_reads_once_its_data_are_named(tmp_path, monkeypatch):
    install(monkeypatch, package_with_model(tmp_path / "package", "emotune-mini", LabelSpace(("calm", "fear"))))
    for name in recipe_names():
        if name.startswith("sequences/"):
            assert load_sequence_recipe(name, ["model.base=b", "manifest=m.csv"]).name == name
            continue
        if name.startswith("pretraining/vesper"):
            assert load_recipe(name, [f"data.unlabelled=[{tmp_path}]"]).name == name
            continue
        of_manifest = name.startswith(
            ("demo/", "gender/", "general/", "tiny/", "pretraining/views", "pretraining/few_labels")
        )
        place = "data.manifest=m.csv" if of_manifest else f"data.root={tmp_path}"
        assert load_recipe(name, [place]).name == name


def test_the_page_on_sequences_lists_every_key_of_its_recipes(tmp_path):
    block = re.search(
        r"```yaml\n(.*?)```", (ROOT / "docs" / "how-to" / "sequences.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert block is not None
    path = tmp_path / "reference.yaml"
    path.write_text(block.group(1), encoding="utf-8")
    shown, recipe = yaml.safe_load(block.group(1)), load_sequence_recipe(path)
    assert set(shown) == set(SequenceRecipe.model_fields)
    assert set(shown["model"]) == set(type(recipe.model).model_fields)
    task = recipe.tasks["emotion"]
    assert set(shown["tasks"]["emotion"]) == set(type(task).model_fields)
    assert set(shown["tasks"]["emotion"]["adapter"]) == set(type(task.adapter).model_fields)


def test_every_name_of_a_tables_column_is_in_the_documentation():
    text = (ROOT / "docs" / "reference" / "corpora.md").read_text(encoding="utf-8")
    section = text[text.index("## A table of your own") : text.index("## Annotators' votes")]
    words = set(re.findall(r"[\w.]+", section))
    names = {name for names in (*COLUMN_NAMES.values(), *DIMENSION_NAMES.values()) for name in names}
    assert names <= words


def test_the_table_of_poolings_has_each_with_its_options():
    text = (ROOT / "docs" / "reference" / "recipes.md").read_text(encoding="utf-8")
    section = text[text.index("## Poolings") : text.index("## Attentive merging")]
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\|([^|]*)\|$", section, re.MULTILINE))
    assert set(rows) == set(POOLINGS)
    for name, said in rows.items():
        options = POOLINGS.options(name)
        keys = {} if options is None else {key: field.default for key, field in options.model_fields.items()}
        assert yaml.safe_load("{" + said.replace("`", "").strip() + "}") == keys, name


def test_the_site_says_how_to_cite_as_the_citation_file_does():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    (author,) = citation["authors"]
    for key, value in {**citation, "author": f"{{{author['name']}}}"}.items():
        if key in ("title", "author", "version"):
            assert f"{key} = {{{value}}}" in page
