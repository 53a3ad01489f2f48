"""Broken recipes, and recipes that do not fit their data: every fault named with its path, before anything trains."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import yaml

from emotune.config.reading import dump_recipe, load_recipe
from emotune.config.recipe import Recipe
from emotune.errors import ConfigError
from emotune.recipes import recipe_names
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest

DEMO = "demo/tiny_wavlm"
DATA = "data.manifest=m.csv"

FILES = {
    "list": (b"- 1\n- 2\n", ["must hold keys with values", "not a list"]),
    "one word": (b"hello\n", ["must hold keys with values", "not a str"]),
    "empty": (b"", ["is empty"]),
    "not YAML": (b"data: [1\nmodel: x\n", ["line 2: not valid YAML"]),
    "tab": (b"data:\n\tmanifest: m.csv\n", ["line 2: not valid YAML", "'\\t'"]),
    "not UTF-8": (b"name: \xff\n", ["cannot be read", "utf-8"]),
    "NUL": (b"name: a\0b\n", ["not valid YAML"]),
    "key twice": (b"name: a\nseed: 1\nname: b\n", ["line 3: not valid YAML (key 'name' appears twice)"]),
    "inner key twice": (b"train:\n  epochs: 1\n  epochs: 2\n", ["line 3", "key 'epochs' appears twice"]),
    "two documents": (b"name: a\n---\nname: b\n", ["not valid YAML"]),
    "number for a key": (b"1: 2\n", ["1: keys should be strings", "data: is missing", "model: is missing"]),
    "a call": (b"name: !!python/object/apply:os.getcwd []\n", ["line 1: not valid YAML", "python/object"]),
    "a day that does not exist": (b"name: 2001-99-99\n", ["cannot be read: month must be"]),
    "a thousand brackets": (b"name: " + b"[" * 2000, ["hundreds of levels deep"]),
    "100,000 lists in each other": (b"data: " + b"[" * 100_000 + b"]" * 100_000, ["hundreds of levels deep"]),
    "itself inside": (b"data: &a\n  map: *a\n", ["line 1: not valid YAML", "recursive"]),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_recipe_is_a_config_error_that_names_it(tmp_path, case):
    content, words = FILES[case]
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_an_override_100_000_deep_is_a_short_config_error():
    with pytest.raises(ConfigError, match="hundreds of levels deep") as caught:
        load_recipe("demo/tiny_wavlm", ["model.backbone.config=" + "[" * 100_000 + "]" * 100_000])
    assert len(str(caught.value)) < 500


def test_an_input_of_a_million_words_is_not_printed(tmp_path):
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 7)]
    (tmp_path / "recipe.yaml").write_text("\n".join(["l0: &l0 [x]", *levels, "name: *l6"]))
    with pytest.raises(ConfigError, match="name: input should be a valid string") as caught:
        load_recipe(tmp_path / "recipe.yaml")
    assert len(str(caught.value)) < 10_000


NAMES = {
    "misspelt": ("demo/tiny_wavml", "did you mean 'demo/tiny_wavlm'?"),
    "misspelt with folder": ("recipes/demo/tiny_wavml.yaml", "did you mean 'demo/tiny_wavlm'?"),
    "unknown": ("nothing-like-it", f"Known: {', '.join(recipe_names())}"),
    "a folder": (".", "is a folder, expected a recipe file"),
}


@pytest.mark.parametrize("case", NAMES)
def test_an_unknown_recipe_lists_the_known(tmp_path, monkeypatch, emotune_command, case):
    name, words = NAMES[case]
    monkeypatch.chdir(tmp_path)
    for command in ("train", "probe", "baseline"):
        ended = emotune_command(command, name)
        assert ended.code == 2
        assert words in ended.err
    assert not list(tmp_path.iterdir())


def test_a_name_longer_than_the_system_allows_is_one_error(emotune_command):
    ended = emotune_command("train", "a" * 5000)
    assert ended.code == 2
    assert "File name too long" in ended.err
    assert "Traceback" not in ended.err


OVERRIDES = {
    "no equals": ("train.epochs", "expected key.path=value, such as train.epochs=3"),
    "no key": ("=3", "expected key.path=value"),
    "no inner key": ("train..epochs=3", "expected key.path=value"),
    "not YAML": ("train.epochs={", "Override 'train.epochs={': the value is not valid YAML"),
    "a day that does not exist": ("seed=2001-99-99", "the value is not valid YAML (month must be"),
    "into a number": ("train.epochs.first=3", "Override 'train.epochs.first=3': 'epochs' is not a section"),
    "unknown section": ("trian.epochs=3", "trian: Unknown key 'trian', did you mean 'train'?"),
    "unknown key of data": ("data.drops=[a]", "data.drops: Unknown key 'drops', did you mean 'drop'?"),
    "unknown key of model": ("model.poling=mean", "model.poling: Unknown key 'poling', did you mean 'pooling'?"),
    "unknown key of backbone": ("model.backbone.layer=2", "Unknown key 'layer', did you mean 'layers'?"),
    "unknown key of augmentation": ("augmentation.sped=0.1", "Unknown key 'sped', did you mean 'speed'?"),
    "unknown key of loss": ("loss.cc.weight=1", "loss.cc: Unknown key 'cc', did you mean 'ccc'?"),
    "unknown key of cross-entropy": ("loss.cross_entropy.smothing=0", "did you mean 'smoothing'?"),
    "unknown key of train": ("train.epoch=3", "train.epoch: Unknown key 'epoch', did you mean 'epochs'?"),
    "unknown key of probe": ("probe.poling=mean", "probe.poling: Unknown key 'poling', did you mean 'pooling'?"),
    "unknown key of the encoder": ("model.backbone.config.hiden_size=8", "did you mean 'hidden_size'?"),
    "a number for a section": ("train=3", "train: expected a section with keys such as epochs"),
    "words for a number": ("train.epochs=many", "train.epochs: input should be a valid integer"),
    "half an epoch": ("train.epochs=1.5", "train.epochs: input should be a valid integer"),
    "true for a number": ("train.epochs=true", "train.epochs: expected no truth value, got true"),
    "yes for a rate": ("train.head_lr=yes", "train.head_lr: expected no truth value, got true"),
    "negative rate": ("train.encoder_lr=-1e-5", "train.encoder_lr: input should be greater than 0, got '-1e-5'"),
    "rate of 0": ("train.head_lr=0", "train.head_lr: input should be greater than 0, got 0"),
    "infinite rate": ("train.head_lr=.inf", "train.head_lr: input should be a finite number, got inf"),
    "NaN": ("model.dropout=.nan", "model.dropout: input should be a finite number, got nan"),
    "dropout of 1": ("model.dropout=1", "model.dropout: input should be less than 1, got 1"),
    "seed too large": ("seed=4294967296", "seed: input should be less than or equal to 4294967295"),
    "words for true": ("data.classes=perhaps", "data.classes: input should be a valid boolean"),
    "one word for a list": ("data.drop=anger", "data.drop: input should be a valid list, got 'anger'"),
    "number for a speaker": (
        "data.splits={train: {speaker: [1]}}",
        'data.splits.train.speaker.0: input should be a valid string, got 1; quote it to make it text: "1"',
    ),
    "unknown schedule": ("train.schedule=cosin", "input should be 'cosine', 'linear' or 'constant_with_warmup'"),
    "unknown backbone": ("model.backbone.name=wavml", "Unknown backbone 'wavml', did you mean 'wavlm'?"),
    "unknown pooling": ("model.pooling=mean_sdt", "Unknown pooling 'mean_sdt', did you mean 'mean_std'?"),
    "unknown layer mix": ("model.layer_mix=wieghted_sum", "did you mean 'weighted_sum'?"),
    "unknown metric": ("train.metric=uarr", "train.metric: Unknown metric 'uarr', did you mean 'uar'?"),
    "metric of nothing learnt": ("train.metric=ccc", "train.metric: Unknown metric 'ccc'"),
    "copies for every speaker": (
        "probe={copies: 2, leave_out: speaker}",
        "probe.leave_out does not go with augmented copies, and probe.copies is 2, here or in the recipe that this"
        " comes from: set probe.copies to 0, or leave out probe.leave_out",
    ),
    "unknown leave-out": ("probe.leave_out=speakers", "probe.leave_out: input should be 'speaker' or 'session'"),
    "noise upside down": (
        "augmentation.noise={snr_db: [9, 1]}",
        "noise.snr_db: expected [lowest, highest], got [9.0, 1.0]",
    ),
    "layers of 0": ("model.backbone.layers=0", "model.backbone.layers: input should be greater than or equal to 1"),
    "front end without encoder": ("model.backbone.train=1", "train_front_end needs train: all"),
    "checkpoint and config": ("model.backbone.checkpoint=x", "give either checkpoint (Hub name or folder) or config"),
    "neither checkpoint nor config": ("model.backbone.config=", "give either checkpoint"),
    "nothing to learn": ("data.classes=false", "there is nothing to learn"),
    "manifest and corpus": ("data.corpus=emodb", "data: give either manifest, or corpus and root"),
    "unknown corpus": ("data.corpus=ravdes", "data.corpus: Unknown corpus 'ravdes', did you mean 'ravdess'?"),
}


@pytest.mark.parametrize("case", OVERRIDES)
def test_a_wrong_override_is_a_config_error_with_its_path(case):
    override, words = OVERRIDES[case]
    with pytest.raises(ConfigError) as caught:
        load_recipe(DEMO, [DATA, override])
    assert words in str(caught.value)


SOURCES = {
    "neither manifest nor corpus": ([], "data: give either manifest, or corpus and root"),
    "corpus without root": (["data.corpus=emodb"], "root is missing: the folder that holds emodb, as data.root=PATH"),
    "a table": (["data.corpus=table", "data.root=x"], "a table is read first: emotune corpus read table FILE"),
    "an adapter beside a front end that trains": (
        [DATA, "model.adapter={name: bitfit}", "model.backbone.train_front_end=true"],
        "an adapter needs backbone.train: all, or the number of top layers that get it",
    ),
    "initial weights of a mix that has none": (
        [DATA, "model.layer_mix=attentive_merging", "model.layer_mix_initial=[1, 1]"],
        "layer_mix_initial goes with layer_mix: weighted_sum; leave it out (null)",
    ),
    "a geometric prior that is no probability": (
        [DATA, "model.varan={prior: geometric, parameter: 2}"],
        "model.varan: parameter is 2, expected a probability below 1 for prior: geometric",
    ),
    "options of a mix that is not chosen": (
        [DATA, "model.varan={beta: 0.1}"],
        "varan holds options of layer_mix: varan; leave it out, or choose that mix",
    ),
    "unfreezing after the last epoch": (
        [DATA, "train.epochs=3", "train.unfreeze={start_epoch: 3}"],
        "train.unfreeze.start_epoch is 3, counted from 0, expected less than train.epochs = 3",
    ),
    "unfreezing what stays frozen": (
        [DATA, "model.backbone.train=none", "model.backbone.train_front_end=false", "train.unfreeze={start_epoch: 0}"],
        "train.unfreeze: model.backbone.train leaves nothing to unfreeze",
    ),
    "an unknown adapter": ([DATA, "model.adapter={name: lorra}"], "model.adapter.name: Unknown adapter 'lorra', did"),
    "an adapter that is no section": ([DATA, "model.adapter=lora"], "model.adapter: expected a section such as {name:"),
    "an adapter without a name": ([DATA, "model.adapter={rank: 3}"], "model.adapter.name: is missing. Known: bitfit,"),
    "a misspelt adapter key": (
        [DATA, "model.adapter={name: lora, rnak: 4}"],
        "model.adapter.rnak: Unknown key 'rnak', did you mean 'rank'?",
    ),
    "an adapter of rank zero": ([DATA, "model.adapter={name: lora, rank: 0}"], "model.adapter.rank: "),
    "sampling by nothing with a power": (
        [DATA, "train.sampling={power: 0.5}"],
        "train.sampling: power needs by: class, corpus, corpus_and_class or language",
    ),
    "a misspelt sampling": (
        [DATA, "train.sampling=balance"],
        "train.sampling: Unknown sampling 'balance', did you mean 'balanced'?",
    ),
    "sampling by something else": (
        [DATA, "train.sampling={by: speaker}"],
        "train.sampling.by: input should be 'class'",
    ),
    "a power beyond one": ([DATA, "train.sampling={by: corpus, power: 2}"], "train.sampling.power: "),
    "a misspelt key of sampling": (
        [DATA, "train.sampling={by: corpus, powr: 1}"],
        "train.sampling.powr: Unknown key 'powr', did you mean 'power'?",
    ),
    "sampling by class without classes": (
        [DATA, "train.sampling.by=corpus_and_class", "data.classes=false", "data.dimensions=[x]", "train.metric=ccc"],
        "train.sampling.by: corpus_and_class draws classes, and data.classes is false",
    ),
    "probe start with a hidden layer": (
        [DATA, "train.start_from_probe=true", "model.hidden_size=8"],
        "train.start_from_probe needs a linear head: leave model.hidden_size out",
    ),
}


@pytest.mark.parametrize("case", SOURCES)
def test_sections_that_do_not_fit_together_are_a_config_error(case):
    overrides, words = SOURCES[case]
    with pytest.raises(ConfigError) as caught:
        load_recipe(DEMO, overrides)
    assert words in str(caught.value)


def test_all_faults_of_a_recipe_are_reported_at_once(emotune_command):
    ended = emotune_command(
        "train", DEMO, DATA, "trian.x=1", "train.epochs=0", "model.pooling=maen", "data.drop=x", "seed=-1"
    )
    assert ended.code == 2
    assert "5 fault(s)" in ended.err
    for path in ("trian:", "train.epochs:", "model.pooling:", "data.drop:", "seed:"):
        assert f"\n  {path}" in ended.err


def test_a_rate_that_yaml_reads_as_text_works(tmp_path):
    """PyYAML reads 1e-5 as a string."""
    assert yaml.safe_load("1e-5") == "1e-5"
    assert load_recipe(DEMO, [DATA, "train.encoder_lr=1e-5"]).train.encoder_lr == 1e-5


@pytest.mark.parametrize("key", ["data.manifest", "probe.cache"])
def test_the_home_of_an_unknown_user_is_a_config_error(key):
    with pytest.raises(ConfigError, match=rf"{key}: ~no-such-user/x: the folder that ~ stands for is not known"):
        load_recipe(DEMO, [DATA, f"{key}=~no-such-user/x"])


def test_a_home_folder_is_found(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert load_recipe(DEMO, ["data.manifest=~/m.csv"]).data.manifest == Path("/home/someone/m.csv")


def speakers(names: str) -> str:
    return f"{{speaker: [{names}]}}"


TRAIN, DEVELOPMENT = speakers("s0, s1, s2, s3"), speakers("s4, s5")
FITS = {
    "manifest that is not there": (["data.manifest=gone.csv"], "gone.csv does not exist"),
    "split that selects nothing": (
        [f"data.splits={{train: {{speaker: [s0], gender: [male]}}, development: {DEVELOPMENT}}}"],
        "data.splits.train selects no utterance",
    ),
    "speaker that is not there": (
        [f"data.splits={{train: {speakers('s9')}, development: {DEVELOPMENT}}}"],
        "data.splits.train: speaker s9 does not occur in the manifest, which has s0, s1",
    ),
    "unknown column of a split": (
        ["data.splits={train: {speakr: [s0]}}"],
        "data.splits.train: Unknown column 'speakr', did you mean 'speaker'?",
    ),
    "splits that overlap": (
        [f"data.splits={{train: {TRAIN}, development: {speakers('s3, s4')}}}"],
        "Splits 'train' and 'development' both select u12",
    ),
    "splits that share speakers": (
        ["data.splits={train: {emotion: [anger]}, development: {emotion: [neutral]}}"],
        "6 speakers in more than one split, such as s0 in development and train",
    ),
    "no development split": ([f"data.splits={{train: {TRAIN}}}"], "no utterance in split 'development'; it has: train"),
    "no train split": (
        [f"data.splits={{trian: {TRAIN}, development: {DEVELOPMENT}}}"],
        "no utterance in split 'train'; it has: development, trian",
    ),
    "class to drop that is not there": (["data.drop=[rage]"], "does not have: rage. It has: anger, neutral"),
    "class to map that is not there": (["data.map={rage: anger}"], "does not have: rage"),
    "dimension that is not there": (
        ["data.dimensions=[tension]"],
        "data.dimensions: tension not in the manifest, which has none",
    ),
    "no loss": (["loss.cross_entropy.weight=0"], "every weight is 0, so there is nothing to train"),
    "more layers than there are": (["model.backbone.layers=9"], "9 layers were asked of a wavlm model that has 2"),
    "more top layers than there are": (
        ["model.backbone.train=9", "model.backbone.train_front_end=false"],
        "model.backbone.train: 9 top layers asked, the backbone has 2",
    ),
    "layer weights of another number": (
        ["model.layer_mix=weighted_sum", "model.layer_mix_initial=[1, 1]"],
        "model.layer_mix_initial must be 3 positive numbers",
    ),
    "encoder of impossible sizes": (
        ["model.backbone.config.hidden_size=97"],
        "num_attention_heads is 4, expected a divisor of hidden_size = 97",
    ),
    "checkpoint folder that is not there": (
        ["model.backbone.config=", "model.backbone.checkpoint=/no/such/folder"],
        "There is no folder /no/such/folder. ",
    ),
    "checkpoint of an unknown user": (
        ["model.backbone.config=", "model.backbone.checkpoint=~no-such-user/wavlm"],
        "There is no folder ~no-such-user/wavlm. ",
    ),
}


@pytest.mark.parametrize("case", FITS)
def test_a_recipe_that_does_not_fit_its_data_ends_with_2_before_training(tmp_path, tones, emotune_command, case):
    overrides, words = FITS[case]
    run = tmp_path / "run"
    arguments = [f"data.manifest={tones.root / 'manifest.csv'}", *overrides]
    for command in (["train", DEMO, *arguments, "--dry-run"], ["train", DEMO, *arguments, "-o", run]):
        ended = emotune_command(*command)
        assert ended.code == 2
        assert words in ended.err
        assert ended.err.startswith("error: ")
        assert "Traceback" not in ended.out + ended.err
    assert not run.exists()


def test_a_class_absent_from_training_is_named(tmp_path, tones, emotune_command):
    path = tmp_path / "manifest.csv"
    dataclasses.replace(tones, label_space=LabelSpace(("anger", "neutral", "disgust"))).write(path)
    ended = emotune_command("train", DEMO, f"data.manifest={path}", "--dry-run")
    assert ended.code == 2
    assert "No training utterance of class disgust; drop it with data.drop" in ended.err


def other_recipe() -> Recipe:
    return load_recipe(DEMO, ["data.manifest=m.csv", "seed=7"])


OUTPUTS = {
    "a file": (lambda run: run.write_text(""), "exists and is not a folder; choose another with -o"),
    "another folder": (
        lambda run: [run.mkdir(), (run / "thesis.tex").write_text("")],
        "exists and is not a run folder; choose another with -o",
    ),
    "a finished run": (
        lambda run: [run.mkdir(), (run / "provenance.json").write_text('{"finished": "yes"}')],
        "already holds a finished run",
    ),
    "a broken run": (
        lambda run: [run.mkdir(), (run / "provenance.json").write_text("{")],
        "provenance.json cannot be read as JSON",
    ),
    "a run of another recipe": (
        lambda run: [run.mkdir(), (run / "recipe.yaml").write_text(dump_recipe(other_recipe()))],
        "holds an unfinished run of another recipe",
    ),
    "a recipe that cannot be read": (
        lambda run: [run.mkdir(), (run / "recipe.yaml").write_text("name: other\n")],
        "recipe.yaml cannot be read",
    ),
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_a_run_folder_that_holds_something_else_is_left_alone(tmp_path, tones, emotune_command, case):
    make, words = OUTPUTS[case]
    run = tmp_path / "run"
    make(run)
    before = sorted(tmp_path.rglob("*"))
    for command in ("train", "probe", "baseline"):
        ended = emotune_command(command, DEMO, f"data.manifest={tones.root / 'manifest.csv'}", "-o", run)
        assert ended.code == 2
        assert words in ended.err
    assert sorted(tmp_path.rglob("*")) == before


def broken_in(manifest: Manifest, folder: Path, split: str) -> Path:
    """The manifest in another folder, with one recording of a split made empty after it was read."""
    shutil.copytree(manifest.root, folder)
    first = manifest.split(split).utterances[0]
    (folder / first.file).write_bytes(b"")
    return folder / "manifest.csv"


@pytest.mark.parametrize("command", ["train", "probe", "baseline"])
@pytest.mark.parametrize("split", ["train", "development"])
def test_a_recording_that_broke_since_it_was_read_stops_the_run_and_is_named(
    tmp_path, tones, emotune_command, command, split
):
    path = broken_in(tones, tmp_path / "corpus", split)
    options = ["train.epochs=1", f"probe.cache={tmp_path / 'cache'}", "-o", tmp_path / "run"]
    ended = emotune_command(command, DEMO, f"data.manifest={path}", *options)
    assert ended.code == 2
    assert f"{tones.split(split).utterances[0].file} is empty (0 bytes)" in ended.err
    assert "Traceback" not in ended.out + ended.err
    assert not (tmp_path / "run" / "model").exists()


def no_run(run: Path) -> None:
    (run / "provenance.json").unlink()


def output_a_file(run: Path) -> None:
    (run / "other").write_text("")


RUNS = {
    "no provenance": (no_run, [], "is not a run folder: it has no provenance.json"),
    "provenance not JSON": (lambda run: (run / "provenance.json").write_text("{"), [], "cannot be read as JSON"),
    "provenance a list": (lambda run: (run / "provenance.json").write_text("[]"), [], "must hold a JSON object"),
    "no model": (lambda run: None, ["--split", "train"], "expected a model folder, or a run folder with a finished"),
    "no such split": (lambda run: None, [], "no utterance in split 'test'; it has: development, train"),
    "no manifest": (lambda run: (run / "manifest.csv").unlink(), [], "manifest.csv does not exist"),
    "mapped without a manifest": (lambda run: None, ["--map", "a=b"], "--map and --drop go with --manifest"),
    "another manifest that is not there": (lambda run: None, ["--manifest", "gone.csv"], "gone.csv does not exist"),
    "output below a file": (
        output_a_file,
        ["--split", "train", "-o", "run/other"],
        "other is not a folder. Choose a folder that you may write to",
    ),
}


@pytest.mark.parametrize("case", RUNS)
def test_evaluate_of_a_broken_run_ends_with_2_before_any_work(tmp_path, tones, emotune_command, monkeypatch, case):
    make, options, words = RUNS[case]
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    (run / "provenance.json").write_text("{}")
    tones.write(run / "manifest.csv")
    make(run)
    before = sorted(tmp_path.rglob("*"))
    ended = emotune_command("evaluate", "run", *options)
    assert ended.code == 2
    assert words in ended.err
    assert "Traceback" not in ended.out + ended.err
    assert sorted(tmp_path.rglob("*")) == before
