"""A recipe that builds on another."""

import pickle

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emotune.config.reading import dump_recipe, load_recipe, merged
from emotune.config.tasks import TASKS
from emotune.errors import ConfigError

DATA = "data.manifest=m.csv"


@pytest.fixture
def write(tmp_path):
    def write(file, /, **content):
        (tmp_path / file).write_text(yaml.safe_dump(content))
        return tmp_path / file

    return write


def test_only_what_a_recipe_says_itself_differs_from_its_base(write):
    path = write("mine.yaml", base="demo/tiny_wavlm", name="mine", train={"epochs": 2}, model={"pooling": "std"})
    mine, base = load_recipe(path, [DATA]), load_recipe("demo/tiny_wavlm", [DATA])
    assert (mine.train.epochs, mine.model.pooling, mine.name, mine.description) == (2, "std", "mine", "")
    told = mine.model_dump() | {"name": base.name, "description": base.description}
    told["train"]["epochs"], told["model"]["pooling"] = base.train.epochs, base.model.pooling
    assert told == base.model_dump()


def test_overrides_come_last_and_a_base_may_have_a_base(write):
    write("low.yaml", base="demo/tiny_wavlm", name="low", seed=3, train={"epochs": 2, "patience": 1})
    path = write("high.yaml", base="low.yaml", name="high", train={"epochs": 4})
    recipe = load_recipe(path, [DATA, "train.patience=2"])
    assert (recipe.seed, recipe.train.epochs, recipe.train.patience, recipe.train.average) == (3, 4, 2, 0.99)


def test_null_and_lists_replace_what_the_base_has(write):
    write("low.yaml", base="demo/tiny_wavlm", name="low", data={"drop": ["fear"]}, augmentation={"mix": {"alpha": 1}})
    path = write("high.yaml", base="low.yaml", name="high", data={"drop": ["anger"]}, augmentation={"mix": None})
    recipe = load_recipe(path, [DATA])
    assert (recipe.data.drop, recipe.augmentation.mix, recipe.augmentation.speed) == (["anger"], None, 0.12)


def test_the_written_recipe_is_whole(write, tmp_path):
    recipe = load_recipe(write("mine.yaml", base="demo/tiny_wavlm", name="mine"), [DATA])
    (tmp_path / "resolved.yaml").write_text(dump_recipe(recipe))
    assert "base" not in yaml.safe_load((tmp_path / "resolved.yaml").read_text())
    assert load_recipe(tmp_path / "resolved.yaml") == recipe


def test_a_recipe_with_a_base_needs_a_name_of_its_own(write):
    with pytest.raises(ConfigError, match="name: is missing"):
        load_recipe(write("mine.yaml", base="demo/tiny_wavlm"), [DATA])


def test_bases_that_lead_back_are_refused(write):
    write("one.yaml", base="two.yaml", name="one")
    with pytest.raises(ConfigError, match=r"leads back to itself: .*one.yaml -> .*two.yaml -> .*one.yaml"):
        load_recipe(write("two.yaml", base="one.yaml", name="two").parent / "one.yaml")
    with pytest.raises(ConfigError, match="leads back to itself"):
        load_recipe(write("self.yaml", base="self.yaml", name="self"))


@pytest.mark.parametrize("base", [None, 3, ["demo/tiny_wavlm"], ""])
def test_a_base_that_is_no_name_is_refused(write, base):
    with pytest.raises(ConfigError, match=r"mine.yaml: base is .*, expected the name or file of a recipe"):
        load_recipe(write("mine.yaml", base=base, name="mine"))


def test_a_base_that_is_not_there_is_named_with_the_likely_one(write):
    with pytest.raises(ConfigError, match=r"mine.yaml: base: .*did you mean 'demo/tiny_wavlm'.*beside this one"):
        load_recipe(write("mine.yaml", base="demo/tiny_wavlms", name="mine"))


def test_a_fault_of_the_base_is_reported(write):
    write("low.yaml", base="demo/tiny_wavlm", name="low", train={"epochz": 2})
    with pytest.raises(ConfigError, match=r"train.epochz: .*did you mean 'epochs'"):
        load_recipe(write("high.yaml", base="low.yaml", name="high"), [DATA])


trees = st.recursive(
    st.none() | st.integers() | st.lists(st.integers()), lambda inner: st.dictionaries(st.sampled_from("abc"), inner)
)


@given(base=st.dictionaries(st.sampled_from("abc"), trees), own=st.dictionaries(st.sampled_from("abc"), trees))
def test_merging_keeps_every_own_leaf_and_adds_only_the_bases(base, own):
    both = merged(base, own)
    assert merged(both, own) == both
    assert merged({}, own) == own
    assert merged(base, {}) == base
    assert set(both) == set(base) | set(own)
    for key, value in own.items():
        if not (isinstance(value, dict) and isinstance(base.get(key), dict)):
            assert both[key] == value


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "mine/tiny"),
        (["model.backbone.checkpoint=folders/whisper-tiny.en"], "mine/tiny"),
        (["model.backbone.checkpoint=folders/whisper-base"], "mine/tiny-on-whisper-base"),
        (["model.backbone.checkpoint=folders/my whisper"], "mine/tiny-on-my_whisper"),
        (["model.backbone.name=wavlm", "model.backbone.checkpoint=microsoft/wavlm-large"], "mine/tiny-on-wavlm-large"),
        (["model.backbone.checkpoint=null", "model.backbone.config={}"], "mine/tiny-on-whisper-random-weights"),
        (["model.backbone.checkpoint=folders/whisper-base", "name=mine/base"], "mine/base"),
        (["model.backbone.layers=2"], "mine/tiny"),
    ],
)
def test_a_run_is_named_after_the_encoder_that_it_uses(tmp_path, overrides, name):
    content = {
        "name": "mine/tiny",
        "data": {"manifest": "m.csv"},
        "model": {"backbone": {"name": "whisper", "checkpoint": "openai/whisper-tiny.en"}},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
    recipe = load_recipe(tmp_path / "tiny.yaml", overrides)
    assert recipe.name == name
    written = tmp_path / "written.yaml"
    written.write_text(dump_recipe(recipe))
    assert load_recipe(written) == recipe


@pytest.mark.parametrize(
    ("overrides", "description"),
    [
        ([], "Mean of whisper."),
        (["data.manifest=n.csv", "seed=3", "probe.cache=c", "name=x"], "Mean of whisper."),
        (["probe.pooling=mean_std"], "Mean of whisper. Changed: probe.pooling=mean_std."),
        (
            ["model.start=null", "model.backbone.checkpoint=/home/me/whisper-base", "probe.pooling=mean"],
            "tiny-on-whisper-base. Changed: model.start=null, model.backbone.checkpoint=whisper-base,"
            " probe.pooling=mean.",
        ),
        (["model.pooling=std", "description=mine"], "mine"),
    ],
)
def test_a_description_says_what_was_changed_and_nothing_of_another_model(tmp_path, overrides, description):
    content = {
        "name": "tiny",
        "description": "Mean of whisper.",
        "data": {"manifest": "m.csv"},
        "model": {"backbone": {"name": "whisper", "checkpoint": "openai/whisper-tiny.en"}},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
    assert load_recipe(tmp_path / "tiny.yaml", overrides).description == description


def test_a_recipe_with_chosen_entries_goes_to_another_process():
    chosen = [DATA, "model.backbone.train_front_end=false", "model.adapter={name: lora, rank: 3}"]
    for name in ("tiny/labels", "tiny/distilled"):
        recipe = load_recipe(name, chosen)
        again = pickle.loads(pickle.dumps(recipe))
        assert again.model_dump() == recipe.model_dump()
        assert [type(part).__mro__[1] for part in (again.task, again.model.adapter)] == [
            type(part).__mro__[1] for part in (recipe.task, recipe.model.adapter)
        ]


def test_a_task_of_no_known_kind_is_refused_in_place_of_doing_nothing(monkeypatch):
    monkeypatch.setattr(TASKS, "options", lambda name: None)
    with pytest.raises(ConfigError, match=r"of semi_supervised are neither a subclass of .* it would do nothing"):
        load_recipe("tiny/labels", [DATA, "task={name: semi_supervised}"])
