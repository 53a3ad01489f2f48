"""What is said of a recipe's keys is what their fields check."""

import copy
import math
import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from emotune.config.keys import keys_under, recipe_keys
from emotune.config.reading import load_recipe
from emotune.config.recipe import Recipe
from emotune.config.tasks import TASKS
from emotune.errors import ConfigError
from emotune.models.adapters import ADAPTERS
from emotune.models.aggregations import POOLINGS
from emotune.recipes import recipe_names

ROOT = Path(__file__).parents[2]
PLAIN = {
    "data": {"manifest": "m.csv", "dimensions": ["arousal"]},
    "model": {"backbone": {"name": "wavlm", "config": {}}},
}
KEYS = [key for key in recipe_keys().values() if key.allowed]
NUMBERS = [key for key in KEYS if re.match(r"(whole )?number", key.allowed)]


def with_value(path: str, value: object) -> dict:
    """A recipe with one key set, and what that key needs beside it."""
    recipe: dict = {"name": "r", **copy.deepcopy(PLAIN)}
    if path.startswith("model.second."):
        recipe["model"]["second"] = {"backbone": copy.deepcopy(PLAIN["model"]["backbone"])}
    place = recipe
    *sections, last = path.split(".")
    for section in sections:
        place = place.setdefault(section, {})
    if path.startswith("model.adapter."):
        place["name"] = next(
            name
            for name in ("lora", "bottleneck", "peft", "task_vectors")
            if last in ("name", *ADAPTERS.options(name).model_fields)
        )
        if "task_vectors" in (place["name"], value):
            place["models"] = ["mini"]
    if path.startswith("model.pooling."):
        place["name"] = next(name for name in POOLINGS if (o := POOLINGS.options(name)) and last in o.model_fields)
    if path.startswith("task."):
        own = sections[1] if len(sections) > 1 else last
        having = [name for name in TASKS if own in ("name", *TASKS.options(name).model_fields)]
        recipe["task"]["name"] = having[0]
        chosen = value if path == "task.name" else having[0]
        if chosen == "distillation" and last != "teacher":
            recipe["task"]["teacher"] = "mini"
    if path.startswith("task.encoder."):
        place |= {"family": "wavlm", **({} if last == "checkpoint" else {"config": {}})}
    if path.startswith("model.varan."):
        recipe["model"]["layer_mix"] = "varan"
    place[last] = value
    return recipe


def faults(path: str, value: object) -> list[str]:
    """The places of the faults of a recipe with that value, without those of keys that do not go together."""
    try:
        Recipe.model_validate(with_value(path, value))
    except ValidationError as error:
        return [".".join(map(str, item["loc"])) for item in error.errors() if item["type"] != "value_error"]
    return []


@pytest.mark.parametrize("key", NUMBERS, ids=lambda key: key.path)
def test_a_number_is_taken_inside_its_range_and_refused_outside(key):
    text = key.allowed
    whole = text.startswith("whole")
    step = 1 if whole else 1e-6
    inside, outside = [], []
    for pattern, direction, is_in in (
        (r"above (\S+)", 1, False),
        (r"from (\S+)", 1, True),
        (r"to below (\S+)", -1, False),
        (r"to (?!below)(\S+)", -1, True),
    ):
        found = re.search(pattern, text)
        if found:
            limit = int(found[1]) if whole else float(found[1])
            (inside if is_in else outside).append(limit)
            inside.append(limit + direction * step)
            outside.append(limit - direction * step)
    assert outside, f"{key.path} ({text}) has no bound: give its Field one, such as ge=0 or gt=0"
    for value in inside:
        assert not faults(key.path, value), (text, value)
    for value in [*outside, "word", math.inf]:
        assert faults(key.path, value), (text, value)
    assert bool(faults(key.path, None)) == (not text.endswith("or null"))


@pytest.mark.parametrize("key", [key for key in KEYS if key.allowed.startswith("one of")], ids=lambda key: key.path)
def test_named_values_are_taken_and_others_refused(key):
    text = re.sub(r" or (null|whole number.*)$", "", key.allowed)
    for value in text.removeprefix("one of ").split(", "):
        assert not faults(key.path, value), value
    content = with_value(key.path, "no-such-name")
    with pytest.raises(ValidationError):
        Recipe.model_validate(content)


def test_every_key_has_a_meaning_and_the_fields_no_other_keys():
    assert [key.path for key in recipe_keys().values() if not key.about] == []
    assert {path.partition(".")[0] for path in recipe_keys()} == set(Recipe.model_fields)


def test_defaults_are_those_of_a_recipe_that_says_nothing():
    recipe = Recipe.model_validate({"name": "r", **PLAIN}).model_dump(mode="json")
    for key in KEYS:
        value: object = recipe
        for part in key.path.split("."):
            value = value.get(part, KeyError) if isinstance(value, dict) else KeyError
        if value is not KeyError and key.default and key.path not in ("data.manifest", "data.dimensions"):
            given = yaml.safe_load(key.default)
            assert given == value or key.path == "model.backbone.config", key.path


def test_a_section_is_explained_with_all_its_keys():
    assert [key.path for key in keys_under("train.unfreeze")] == [
        "train.unfreeze",
        "train.unfreeze.start_epoch",
        "train.unfreeze.layers_per_epoch",
        "train.unfreeze.stages",
    ]


def test_a_key_of_a_choice_names_the_entries_that_have_it_and_what_differs_in_them():
    assert recipe_keys()["model.pooling.size"].about.startswith("(covariance) ")
    temperature = recipe_keys()["task.temperature"]
    assert temperature.default == "2.0"
    assert "; (views) number above 0; default 0.1; " in temperature.about
    assert recipe_keys()["model.adapter.targets"].about.startswith("(lora, peft) ")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("encoder_lr", "did you mean train.encoder_lr?"),
        ("train.encodr_lr", "did you mean 'train.encoder_lr'?"),
        ("nonsense", "Known: augmentation, data, description"),
    ],
)
def test_an_unknown_key_brings_the_likely_one(path, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        keys_under(path)


def test_the_commands_explain_a_key_and_show_a_recipe(emotune_command):
    (line,) = emotune_command("explain", "train.encoder_lr").out.splitlines()
    assert line.startswith("train.encoder_lr: number above 0; default 1.0e-05; ")
    ended = emotune_command("explain", "train.encoder_lrr")
    assert ended.code == 2
    assert "did you mean 'train.encoder_lr'" in ended.err
    listed = emotune_command("recipes").out
    assert [line.partition(":")[0] for line in listed.splitlines()] == list(recipe_names())


@pytest.mark.parametrize("name", ["ravdess/whisper_tiny", "odyssey2024/gender_film"])
def test_a_shown_recipe_reads_back_as_itself(name, tmp_path, emotune_command):
    ended = emotune_command("recipes", "show", name)
    assert ended.code == 0, ended.err
    path = tmp_path / "shown.yaml"
    path.write_text(ended.out, encoding="utf-8")
    root = f"data.root={tmp_path}"
    shown, expected = (load_recipe(one, [root]).model_dump(exclude={"description"}) for one in (path, name))
    assert shown == expected
    assert "dropout: 0.5  # number from 0 to below 1; default 0.3" in ended.out or name != "ravdess/whisper_tiny"
