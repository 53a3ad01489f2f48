"""Recipes: frozen sections read from YAML and ``key=value`` overrides; every fault is reported at once."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo

from emotune.config.conditions import Conditions
from emotune.corpora import CORPORA
from emotune.data.augmentations.channel import CODECS
from emotune.data.augmentations.noise import COLOURS
from emotune.errors import ConfigError
from emotune.models.aggregations import LAYER_MIXES, POOLINGS, VARAN
from emotune.models.backbones import BACKBONES
from emotune.models.conditions import JOINS
from emotune.recipes import recipe_folder, recipe_names
from emotune.registry import Registry, unknown_name_message
from emotune.schema.gender import GENDER
from emotune.section import Section


def _entry_of(registry: Registry[Any]) -> Callable[[str], str]:
    def check(name: str) -> str:
        try:
            registry[name]
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return name

    return check


def _one_of(kind: str, known: Collection[str]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in known:
            raise ValueError(unknown_name_message(kind, name, known))
        return name

    return check


def _listed(names: Iterable[str]) -> FieldInfo:
    """The names that a key may have, for whoever asks what it may be; looked up when asked."""
    return Field(json_schema_extra=lambda schema: schema.update(enum=[*sorted(names)]))


def _with_home(path: object) -> object:
    try:
        return Path(path).expanduser() if isinstance(path, str | Path) else path
    except RuntimeError as error:
        raise ValueError(f"{path}: the folder that ~ stands for is not known; write it out") from error


def _checked_home(path: Path) -> Path:
    """The path as it was given, so that a written recipe does not name anybody's home."""
    _with_home(path)
    return path


UserPath = Annotated[Path, BeforeValidator(_with_home)]
LARGEST_SEED = 2**32 - 1  # of NumPy's generators


SectionType = TypeVar("SectionType", bound=Section)


class Votes(Section):
    """What annotators' votes say of the labels, see ``votes.consensus.relabelled``; the defaults change nothing."""

    label: Literal["given", "plurality", "majority"] = "given"
    """given = the manifest's; plurality = most votes; majority = more than half"""
    ties: Literal["no_agreement", "first", "random"] = "no_agreement"
    """of a plurality: no_agreement, first (class order), random (by utterance id)"""
    other: Literal["keep", "leave_out", "votes_only"] = "keep"
    """keep = a class; leave_out = with its utterances; votes_only = no class at all"""
    no_agreement: Literal["leave_out", "votes"] = "leave_out"
    """without a label: leave_out, or votes = kept for a loss of votes"""
    minimum: int = Field(default=1, ge=1)
    """fewer votes than this do not count"""


class Data(Section):
    """What is learnt from. Either ``manifest``, or ``corpus`` and ``root`` to read it on the way.

    ``splits`` names the values that make up each split, such as {train: {speaker: ["01"]}}; without it the manifest's
    own split column counts. ``labels`` chooses whose labels of a ``corpus`` with several sources. ``map`` renames or
    merges classes, ``drop`` leaves classes out; both are reported. ``votes`` then makes labels of annotators' votes.
    ``budget`` keeps this share of each class's training utterances; smaller budgets of one seed lie within larger ones.
    ``target: gender`` learns the speaker's gender in place of emotion: a gender predictor for other models.
    Clips of any split beyond ``max_duration_s``, or below what the encoder needs, are an error before training, or
    left out by ``drop``, or ``cut`` and given silence (``pad``), and so the model does it later too.
    ``cache`` is a folder for decoded training clips, which may grow to ``cache_gb``.
    """

    manifest: UserPath | None = None
    """the utterances; either this, or corpus and root"""
    corpus: Annotated[str, AfterValidator(_entry_of(CORPORA)), _listed(CORPORA)] | None = None
    """a name from `emotune corpus read --help`"""
    root: UserPath | None = None
    """its folder"""
    labels: str | None = None
    """whose labels, of a corpus with several sources; null = its first"""
    classes: bool = True
    """learn the emotion classes"""
    dimensions: list[str] = []
    """learn these dimensions of the manifest; [] = none"""
    map: dict[str, str] = {}
    """rename or merge classes; reported"""
    drop: list[str] = []
    """leave classes out; reported"""
    votes: Votes = Votes()
    """labels from annotators' votes (votes.<class>)"""
    splits: dict[str, dict[str, list[str]]] = {}
    """{train: {speaker: ["01", "02"]}, ...}; {} = the manifest's split column"""
    budget: float | None = Field(default=None, gt=0, le=1)
    """this share of each class's training utterances; smaller ones lie within larger ones"""
    target: Literal["emotion", "gender"] = "emotion"
    """gender = learn the speaker's gender instead: a predictor for conditions"""
    trim_silence_db: float | None = Field(default=None, gt=0, le=120)
    """cut silence at both ends this far under the loudest frame"""
    max_duration_s: float = Field(default=30.0, gt=0)
    """the longest clip, in seconds"""
    too_long: Literal["error", "drop", "cut"] = "error"
    """of a longer clip: an error before training, left out, or cut at its end; counted"""
    too_short: Literal["error", "drop", "pad"] = "error"
    """of a clip that the encoder has no frame for: likewise, or filled up with silence"""
    cache: Annotated[Path, AfterValidator(_checked_home)] | None = None
    """a folder for decoded training clips; shared by runs and processes"""
    cache_gb: float = Field(default=50.0, gt=0)
    """how much it may hold; what was used longest ago goes first"""
    allow: list[Literal["speaker_overlap", "recording_overlap"]] = []
    """[speaker_overlap]: train although splits share speakers, [recording_overlap]: recordings"""

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        if (self.manifest is None) == (self.corpus is None):
            raise ValueError("give either manifest, or corpus and root")
        if self.corpus is not None and self.root is None:
            raise ValueError(f"root is missing: the folder that holds {self.corpus}, as data.root=PATH")
        if self.corpus == "table":
            raise ValueError(
                "a table is read first: emotune corpus read table FILE -o manifest.csv, then data.manifest"
            )
        if self.target == "gender" and (not self.classes or self.dimensions or self.votes != Votes()):
            raise ValueError(
                "target: gender learns neither dimensions nor votes: leave dimensions, votes and classes out"
            )
        if not self.classes and not self.dimensions:
            raise ValueError(
                "classes is false and dimensions is empty: there is nothing to learn; name dimensions of the manifest,"
                " such as data.dimensions=[arousal]"
            )
        return self


class Backbone(Section):
    """The encoder: ``checkpoint`` is a local folder, ``hf:owner/name[@revision]`` on the Hugging Face Hub, or the plain
    name of an encoder that its makers published there; ``config`` builds it with random weights instead.

    ``layers`` keeps the first k; with ``final_norm`` all are kept and the last state passes the norm behind them;
    ``train`` is all, none, or the number of top layers; the front end trains only on request.
    """

    name: Annotated[str, AfterValidator(_entry_of(BACKBONES)), _listed(BACKBONES)]
    """the encoder's family"""
    checkpoint: str | None = None
    """Hub name or local folder; or config: {...} for random weights"""
    revision: str | None = None
    """commit, tag or branch of the Hub"""
    config: dict[str, Any] | None = None
    """keys of the published config.json, for random weights in place of checkpoint"""
    layers: int | None = Field(default=None, ge=1)
    """keep the first k, whose last state is the full model's raw state k"""
    final_norm: bool = False
    """the last state passes the norm behind the last layer, as a published last_hidden_state"""
    train: Literal["all", "none"] | Annotated[int, Field(ge=0)] = "all"
    """all, none, or the number of top layers; with an adapter: the layers that get it"""
    train_front_end: bool = False
    """the convolutions below the transformer"""

    @model_validator(mode="after")
    def _one_source(self) -> Backbone:
        if (self.checkpoint is None) == (self.config is None):
            raise ValueError("give either checkpoint (Hub name or folder) or config (random weights)")
        known = ["model_type", *BACKBONES[self.name].published_defaults]
        unknown = [unknown_name_message("config key", key, known) for key in self.config or {} if key not in known]
        if unknown:
            raise ValueError(" ".join(unknown))
        if self.final_norm and self.layers is not None:
            raise ValueError("final_norm belongs behind the last layer of all; leave out layers (null) or final_norm")
        if self.train_front_end and self.train != "all":
            raise ValueError("train_front_end needs train: all")
        return self

    @property
    def encoder(self) -> str:
        """Its name for people and folders, see ``encoder_name``."""
        return encoder_name(self.name, self.checkpoint)


class Varan(Section):
    """Options of ``layer_mix: varan``: weight and shape of the prior over layers."""

    beta: float = Field(default=0.05, ge=0)
    """weight of KL(prior || posterior over layers)"""
    prior: Literal["chi2", "geometric", "uniform"] = "chi2"
    """shape of the prior over layers"""
    parameter: float = Field(default=35.0, gt=0)
    """degrees of freedom of chi2, or the geometric prior's probability"""

    @model_validator(mode="after")
    def _share(self) -> Varan:
        if self.prior == "geometric" and self.parameter >= 1:
            raise ValueError(f"parameter is {self.parameter:g}, expected a probability below 1 for prior: geometric")
        return self


class LoRA(Section):
    """Low-rank changes beside the linear layers named in ``targets``."""

    name: Literal["lora"]
    """the kind of adapter"""
    rank: int = Field(default=8, ge=1)
    """of each change"""
    alpha: float = Field(default=16.0, gt=0)
    """scale: a change counts alpha / rank"""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """before each change"""
    targets: list[str] = Field(default=["q_proj", "v_proj"], min_length=1)
    """last parts of the names of linear layers"""


class Bottleneck(Section):
    """Small networks behind the named sublayers."""

    name: Literal["bottleneck"]
    """the kind of adapter"""
    size: int = Field(default=64, ge=1)
    """width of each network"""
    after: list[Literal["attention", "feed_forward"]] = Field(default=["feed_forward"], min_length=1)
    """the sublayers that get one"""


class BitFit(Section):
    """The biases of the transformer layers."""

    name: Literal["bitfit"]
    """the kind of adapter"""


def _adapter_name(value: Any) -> str:
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    return str(name)


Adapter = Annotated[
    Annotated[LoRA, Tag("lora")] | Annotated[Bottleneck, Tag("bottleneck")] | Annotated[BitFit, Tag("bitfit")],
    Discriminator(_adapter_name),
]
_ADAPTER_SECTIONS = {"lora": LoRA, "bottleneck": Bottleneck, "bitfit": BitFit}


_MIXES = [*LAYER_MIXES, VARAN]
LayerMix = Annotated[str, AfterValidator(_one_of("layer mix", _MIXES)), _listed(_MIXES)]


class Model(Section):
    """What is built on the backbone. With an ``adapter``, ``backbone.train`` says how many top layers get it."""

    backbone: Backbone
    """the encoder"""
    adapter: Adapter | None = None
    """{name: lora, rank: 8, ...}, {name: bottleneck, ...} or {name: bitfit}"""
    layer_mix: LayerMix = "weighted_sum"
    """how the layers' states become one"""
    layer_mix_initial: list[Annotated[float, Field(gt=0)]] | None = None
    """where a weighted sum starts: one share for the input of layer 1, then one a layer"""
    varan: Varan = Varan()
    """options of layer_mix: varan"""
    pooling: Annotated[str, AfterValidator(_entry_of(POOLINGS)), _listed(POOLINGS)] = "mean_std"
    """how frames become one vector"""
    hidden_size: int | None = Field(default=None, ge=1)
    """a hidden layer in the heads; null = linear heads"""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """share of the pooled features that training sets to zero"""
    conditions: Conditions = Conditions()
    """what the model is given beside the sound; null = nothing"""
    join: Annotated[str, AfterValidator(_entry_of(JOINS)), _listed(JOINS)] = "concat"
    """how conditions join the pooled sound"""

    @model_validator(mode="after")
    def _fits_together(self) -> Model:
        if self.adapter is not None and (self.backbone.train in ("none", 0) or self.backbone.train_front_end):
            raise ValueError(
                "an adapter needs backbone.train: all, or the number of top layers that get it, and no train_front_end"
            )
        if self.layer_mix_initial is not None and self.layer_mix != "weighted_sum":
            raise ValueError("layer_mix_initial goes with layer_mix: weighted_sum; leave it out (null)")
        if self.varan != Varan() and self.layer_mix != VARAN:
            raise ValueError("varan holds options of layer_mix: varan; leave it out, or choose that mix")
        return self


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"expected [lowest, highest], got {list(bounds)}")
    return bounds


Level = Annotated[float, Field(ge=-60, le=120)]
Decibels = Annotated[tuple[Level, Level], AfterValidator(_ordered)]
RoomSeconds = Annotated[float, Field(gt=0, le=10)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Mix(Section):
    """Mixing with another clip, labels with labels; a small ``alpha`` leaves one of the two in front."""

    alpha: float = Field(default=0.4, gt=0, le=100)
    """of the Beta distribution of the two shares; a small one leaves one clip in front"""
    probability: Probability = 0.5
    """of this step"""


class Reverberation(Section):
    """A simulated room (0.2 to 0.8 s, 0 to 10 dB where not given), or a recorded impulse response from ``folder``."""

    rt60_s: Annotated[tuple[RoomSeconds, RoomSeconds], AfterValidator(_ordered)] | None = None
    """seconds in which a simulated room's sound falls by 60 dB"""
    direct_db: Decibels | None = None
    """level of the direct sound over the room's"""
    folder: UserPath | None = None
    """recorded impulse responses instead"""
    probability: Probability | None = None
    """of this step; null = that of all"""

    @model_validator(mode="after")
    def _one_source(self) -> Reverberation:
        if self.folder is not None and (self.rt60_s or self.direct_db):
            raise ValueError("rt60_s and direct_db are of simulated rooms: leave them out, or leave out folder")
        return self


class Noise(Section):
    """Noise (white where no ``colour`` is given), or recordings of it from ``folder``, at a random ratio to speech."""

    snr_db: Decibels = (10.0, 30.0)
    """level of speech over noise"""
    colour: Annotated[str, AfterValidator(_one_of("colour", COLOURS)), _listed(COLOURS)] | None = None
    """of the noise; null = white"""
    folder: UserPath | None = None
    """recordings of noise instead"""
    probability: Probability | None = None
    """of this step; null = that of all"""

    @model_validator(mode="after")
    def _one_source(self) -> Noise:
        if self.folder is not None and self.colour is not None:
            raise ValueError("colour is of our own noise: leave it out, or leave out folder")
        return self


class Telephone(Section):
    """The telephone's band alone."""

    probability: Probability | None = None
    """of this step; null = that of all"""


Codec = Annotated[str, AfterValidator(_one_of("codec", CODECS)), _listed(CODECS)]


class Compression(Section):
    """A random one of the named codecs."""

    codecs: list[Codec] = Field(default=sorted(CODECS), min_length=1)
    """of which a random one is taken"""
    probability: Probability | None = None
    """of this step; null = that of all"""


class Augmentation(Section):
    """What training does to a clip, in this order; null leaves a step out.

    ``probability`` is that of every step but mixing and the crop; a step's own one takes its place.
    """

    probability: Probability = 1.0
    """of each step but mix and crop, drawn for each on its own"""
    mix: Mix | None = None
    """{alpha: 0.4, probability: 0.5}: with another clip, labels with labels"""
    speed: float | None = Field(default=None, gt=0, le=0.7)
    """0.1: resampled by exp(u), u uniform in [-0.1, 0.1]"""
    crop_s: float | None = Field(default=None, gt=0)
    """random piece of at most this many seconds"""
    reverberation: Reverberation | None = None
    """{rt60_s: [0.2, 0.8], direct_db: [0, 10]}, or {folder: impulse_responses/}"""
    noise: Noise | None = None
    """{snr_db: [10, 30], colour: white}, or {snr_db: [10, 30], folder: noises/}"""
    telephone: Telephone | None = None
    """{probability: 0.2}: only 300 to 3400 Hz are left"""
    compression: Compression | None = None
    """{codecs: [alaw, gsm, mp3, mulaw, opus]}"""
    gain_db: float | None = Field(default=None, ge=0, le=60)
    """6: level changed by up to this much"""
    band_masks: tuple[Annotated[int, Field(ge=1)], Annotated[float, Field(gt=0)]] | None = None
    """[2, 300]: two bands of up to 300 mel filtered out"""
    time_masks: tuple[Annotated[int, Field(ge=1)], Annotated[float, Field(gt=0)]] | None = None
    """[2, 0.2]: two spans of up to 0.2 s set to zero"""


ClassWeights = Literal["balanced", "effective_number", "none"]


class CrossEntropy(Section):
    """Cross-entropy over classes; ``balanced`` weights are N / (C n_c) of the training split, those by
    ``effective_number`` proportional to 1 / (1 - beta^n_c).
    """

    weight: float = Field(default=1.0, ge=0)
    """of this loss in the sum; 0 = off"""
    class_weights: ClassWeights = "balanced"
    """balanced = N / (C n_c) of the training split; effective_number; none"""
    effective_beta: float = Field(default=0.999, ge=0, lt=1)
    """of effective_number"""
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    """share of each target that is spread over all classes"""


class Focal(Section):
    """Cross-entropy times (1 - p)^gamma, for hard and rare classes; off where its weight is 0.

    It is added to ``cross_entropy``: to have it alone, set that one's weight to 0.
    """

    weight: float = Field(default=0.0, ge=0)
    """of this loss in the sum; 0 = off"""
    class_weights: ClassWeights = "balanced"
    """as in cross_entropy"""
    effective_beta: float = Field(default=0.999, ge=0, lt=1)
    """as in cross_entropy"""
    gamma: float = Field(default=2.0, ge=0)
    """how much less easy utterances count"""


class SoftCrossEntropy(Section):
    """Cross-entropy against the annotators' votes; off where its weight is 0."""

    weight: float = Field(default=0.0, ge=0)
    """of this loss in the sum; 0 = off"""
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    """share of each target that is spread over all classes"""


class KL(Section):
    """KL(votes || prediction); off where its weight is 0."""

    weight: float = Field(default=0.0, ge=0)
    """of this loss in the sum; 0 = off"""


class GenderTarget(Section):
    """Cross-entropy of the speaker's gender, learnt beside emotion; off where its weight is 0."""

    weight: float = Field(default=0.0, ge=0)
    """of this loss in the sum; 0 = off"""


class CCC(Section):
    """Mean of 1 - CCC over the dimensions, a loss of the whole batch."""

    weight: float = Field(default=1.0, ge=0)
    """of this loss in the sum; 0 = off"""


class Loss(Section):
    """The losses that are summed by weight: those of classes where classes are learnt, CCC where dimensions are."""

    cross_entropy: CrossEntropy = CrossEntropy()
    """over classes"""
    focal: Focal = Focal()
    """cross-entropy times (1 - p)^gamma, for hard and rare classes; added to cross_entropy"""
    soft_cross_entropy: SoftCrossEntropy = SoftCrossEntropy()
    """against the annotators' votes (votes.<class> of the manifest)"""
    kl: KL = KL()
    """KL(votes || prediction)"""
    gender: GenderTarget = GenderTarget()
    """cross-entropy of the speaker's gender, learnt beside emotion"""
    ccc: CCC = CCC()
    """mean of 1 - CCC over the dimensions, of the whole batch"""


class Unfreeze(Section):
    """Gradual unfreezing: before ``start_epoch`` (counted from 0) the encoder is frozen; from then on
    ``layers_per_epoch`` more layers train each epoch, from the top; null = all at once.
    """

    start_epoch: int = Field(default=0, ge=0)
    """the first epoch, counted from 0, in which the encoder trains"""
    layers_per_epoch: int | None = Field(default=None, ge=1)
    """how many layers more train each epoch, from the top; null = all at once"""


class Train(Section):
    """Fine-tuning. Learning rates rise over ``warmup_share`` of the steps and fall to zero as ``schedule`` says.

    ``average`` is the decay a step of a moving average of the weights, which then is what is scored and kept.
    ``layer_decay`` d gives layer l of L the rate encoder_lr d^(L - l). A checkpoint is written after every epoch, and
    inside one every ``checkpoint_minutes``. With ``memory_gb`` batches are cut into as many as fit into it.
    ``calibrate`` fits a temperature, and thresholds for abstaining, to the finished model on development.
    The states of a frozen encoder that hears the same clips in every epoch are kept in up to ``states_gb`` of memory.
    ``gradient_checkpointing`` keeps less of a forward pass and computes it again. ``fsdp`` spreads weights, gradients
    and optimiser over the processes. ``sampling: balanced`` draws the classes equally often.
    """

    epochs: int = Field(default=10, ge=1)
    """passes over the training utterances"""
    sampling: Literal["natural", "balanced"] = "natural"
    """natural = every utterance once an epoch; balanced = classes equally often"""
    batch_seconds: float = Field(default=60.0, gt=0)
    """audio-seconds a batch, of clips of similar duration"""
    accumulate: int = Field(default=1, ge=1)
    """batches an optimiser step; every loss, CCC too, is that of all of them together"""
    encoder_lr: float = Field(default=1e-5, gt=0)
    """highest learning rate of the encoder"""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """d: layer l of L trains at encoder_lr * d^(L - l)"""
    unfreeze: Unfreeze | None = None
    """{start_epoch: 0, layers_per_epoch: null}: gradual unfreezing"""
    adapter_lr: float = Field(default=1e-3, gt=0)
    """highest learning rate of the adapter"""
    head_lr: float = Field(default=1e-3, gt=0)
    """highest learning rate of heads, pooling and conditions"""
    mix_lr: float = Field(default=1e-3, gt=0)
    """highest learning rate of the layer mix"""
    weight_decay: float = Field(default=0.01, ge=0)
    """of AdamW"""
    warmup_share: float = Field(default=0.1, ge=0, lt=1)
    """share of all steps over which learning rates rise"""
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    """how learning rates fall afterwards"""
    clip_norm: float = Field(default=1.0, ge=0)
    """largest norm of a gradient; 0 = any"""
    average: float | None = Field(default=None, gt=0, lt=1)
    """0.98: decay a step of a moving average of the weights, which is scored and kept"""
    patience: int | None = Field(default=None, ge=1)
    """stop after so many epochs without a better development score"""
    checkpoint_minutes: float = Field(default=10.0, ge=0)
    """between checkpoints inside an epoch; one more after each epoch"""
    memory_gb: float | None = Field(default=None, gt=0)
    """8: batches are cut, and accumulate raised, until a step fits into this"""
    gradient_checkpointing: bool = False
    """about a third more work, much less memory"""
    fsdp: bool = False
    """several processes share out weights, gradients and optimiser"""
    metric: str = "uar"
    """chooses the epoch: uar, macro_f1, macro_f1_true_classes, micro_f1, accuracy, ccc, ccc.<dimension>,
    vote_similarity (1 - Jensen-Shannon divergence)"""
    standardize_features: bool = False
    """pooled features to mean 0 and standard deviation 1 over the training split, before training"""
    start_from_probe: bool = False
    """standardise pooled features and start linear heads from a linear model"""
    calibrate: bool = True
    """fit a temperature and thresholds for abstaining on development, at the end"""
    states_gb: float = Field(default=4.0, ge=0)
    """memory for the states of a frozen encoder that hears the same clips each epoch; 0 = none"""
    workers: int = Field(default=0, ge=0)
    """processes that decode and augment"""
    precision: Literal["fp32", "bf16"] = "fp32"
    """of the forward pass"""


class Probe(Section):
    """Logistic (ridge, for dimensions) regression on frozen pooled features of one layer, chosen on development.

    ``leave_out: speaker`` holds each speaker out in turn and chooses layer and ``inverse_regularisation`` by the same
    rule among the other speakers only.
    """

    pooling: Literal["mean", "mean_std"] = "mean_std"
    """over frames, of each layer"""
    inverse_regularisation: list[Annotated[float, Field(gt=0)]] = Field(default=[0.01, 0.1, 1.0], min_length=1)
    """C; chosen on development together with the layer"""
    leave_out: Literal["speaker", "session"] | None = None
    """speaker or session: nested leave-one-out instead of development"""
    cache: Annotated[Path, AfterValidator(_checked_home)] = Path("~/.cache/emotune/features")
    """a folder for features"""


class Recipe(Section):
    """A whole experiment.

    ``protocol`` is a name from `emotune protocols`, or a file: it makes the splits, in place of ``data.splits``.
    """

    name: str = Field(min_length=1)
    """of run folder and report"""
    description: str = ""
    """what the experiment is, in the words of whoever wrote it"""
    notice: str | None = None
    """a warning that every report and card repeats"""
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    """weights of new layers, order of batches, augmentation"""
    protocol: str | None = None
    """a name from `emotune protocols`, or a file: classes, splits, folds"""
    data: Data
    """what is learnt from"""
    model: Model
    """the encoder and what is built on it"""
    augmentation: Augmentation = Augmentation()
    """what training does to a clip"""
    loss: Loss = Loss()
    """what training minimises"""
    train: Train = Train()
    """how fine-tuning goes"""
    probe: Probe = Probe()
    """linear models on frozen features"""

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        faults = []
        if self.protocol is not None and self.probe.leave_out is not None:
            faults.append("protocol says what is held out: leave out either protocol or probe.leave_out")
        unfreeze = self.train.unfreeze
        if unfreeze is not None and self.model.backbone.train in ("none", 0):
            faults.append(
                "train.unfreeze: model.backbone.train leaves nothing to unfreeze; use all or a number of layers"
            )
        if unfreeze is not None and unfreeze.start_epoch >= self.train.epochs:
            faults.append(
                f"train.unfreeze.start_epoch is {unfreeze.start_epoch}, counted from 0, expected less than train.epochs"
                f" = {self.train.epochs}: nothing would ever be unfrozen"
            )
        if self.train.start_from_probe and self.model.hidden_size is not None:
            faults.append("train.start_from_probe needs a linear head: leave model.hidden_size out")
        if self.train.sampling == "balanced":
            faults += self._balanced_twice()
        if self.data.target == GENDER and (self.loss.gender.weight or dict(self.model.conditions)[GENDER]):
            faults.append(
                "data.target: gender learns gender already: leave out loss.gender and model.conditions.gender"
            )
        vote_losses = self.loss.soft_cross_entropy.weight or self.loss.kl.weight
        if self.data.votes.no_agreement == "votes" and not (self.data.classes and vote_losses):
            faults.append(
                "data.votes.no_agreement: votes keeps utterances without a label for a loss of votes, and there is"
                " none; give loss.soft_cross_entropy.weight or loss.kl.weight a positive value, or use leave_out"
            )
        of_classes = ["uar", "macro_f1", "macro_f1_true_classes", "micro_f1", "accuracy", "vote_similarity"]
        metrics = of_classes if self.data.classes else []
        if self.data.dimensions:
            metrics = [*metrics, "ccc", *(f"ccc.{name}" for name in self.data.dimensions)]
        if self.train.metric not in metrics:
            faults.append("train.metric: " + unknown_name_message("metric", self.train.metric, metrics))
        if self.train.fsdp and self.train.average is not None:
            faults.append("train.fsdp has no whole weights to average: set train.average to null")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _balanced_twice(self) -> list[str]:
        """What does not go with balanced sampling."""
        if not self.data.classes:
            return ["train.sampling: balanced draws classes equally often, and data.classes is false; use natural"]
        weighted = {"cross_entropy": self.loss.cross_entropy, "focal": self.loss.focal}
        return [
            f"train.sampling: balanced and loss.{name}.class_weights: {loss.class_weights} would make up for rare"
            f" classes twice; give loss.{name}.class_weights=none, or use train.sampling: natural"
            for name, loss in weighted.items()
            if loss.weight and loss.class_weights != "none"
        ]


def load_recipe(name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by path or by the name of one that comes with emotune, with ``key.path=value`` overrides.

    Of a key given twice the last value counts. A file with ``base``, the name or file of another recipe, has of that
    one all that it does not give itself, but for name and description. Overrides that put another encoder in the place
    of the recipe's own add it to the name, unless they give a name.

    Raises:
        ConfigError: with every fault found, each with its path and, for a misspelt key, the likely one.
    """
    path = bundled_or_file("recipe", name, recipe_folder(), recipe_names())
    data = _with_base(path, ())
    own = _encoder_in(data)
    recipe = _section_of(Recipe, path, data, overrides)
    used = recipe.model.backbone.encoder
    if own in (None, used) or any(parse_override(override)[0] == "name" for override in overrides):
        return recipe
    return recipe.model_copy(update={"name": f"{recipe.name}-on-{used}"})


def recipe_content(name: str | Path) -> dict[str, Any]:
    """Reads a recipe and its base, unchecked: one that comes with emotune still lacks its data.

    Raises:
        ConfigError: when there is no such recipe, or it is no YAML.
    """
    return _with_base(bundled_or_file("recipe", name, recipe_folder(), recipe_names()), ())


def encoder_name(name: str, checkpoint: str | None) -> str:
    """An encoder's name for people and folders: the last part of its checkpoint's, or that its weights are random.

    >>> encoder_name("wavlm", "microsoft/wavlm-large"), encoder_name("wavlm", None)
    ('wavlm-large', 'wavlm-random-weights')
    >>> encoder_name("whisper", "hub/models--openai--whisper-tiny.en/snapshots/0a1b2c")
    'whisper-tiny.en'
    """
    if checkpoint is None:
        return f"{name}-random-weights"
    path = Path(checkpoint)
    of_cache = path.parent.name == "snapshots"
    last = path.parent.parent.name.rpartition("--")[2] if of_cache else path.name
    return re.sub(r"[^\w.+-]+", "_", last) or name


def _encoder_in(data: Mapping[str, Any]) -> str | None:
    """The encoder that a recipe's file names; None where it leaves that open."""
    model = data.get("model")
    backbone = model.get("backbone") if isinstance(model, dict) else None
    if not isinstance(backbone, dict) or not (backbone.get("checkpoint") or backbone.get("config")):
        return None
    return encoder_name(str(backbone.get("name")), backbone.get("checkpoint") and str(backbone["checkpoint"]))


def _with_base(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """What a recipe's file says, over what its base says."""
    here = path.resolve()
    if here in above:
        way = " -> ".join(str(file) for file in (*above[above.index(here) :], here))
        raise ConfigError(f"base leads back to itself: {way}. Take one base out.")
    own = _read_yaml(path)
    if "base" not in own:
        return own
    name = own.pop("base")
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{path}: base is {_SHORT.repr(name)}, expected the name or file of a recipe.")
    beside = path.parent / Path(name).expanduser()
    try:
        found = beside if beside.is_file() else bundled_or_file("recipe", name, recipe_folder(), recipe_names())
    except ConfigError as error:
        raise ConfigError(f"{path}: base: {error} A file is looked for beside this one.") from error
    inherited = _with_base(found, (*above, here))
    return _merged({key: value for key, value in inherited.items() if key not in ("name", "description")}, own)


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Sections merged key by key; any other value takes the place of the base's."""
    merged = dict(base)
    for key, value in own.items():
        under = merged.get(key)
        merged[key] = _merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def read_section(section: type[SectionType], path: Path, overrides: Sequence[str] = ()) -> SectionType:
    """Read a YAML file as a section, with ``key.path=value`` overrides.

    Raises:
        ConfigError: with every fault found.
    """
    return _section_of(section, path, _read_yaml(path), overrides)


def _section_of(section: type[SectionType], path: Path, data: dict[str, Any], overrides: Sequence[str]) -> SectionType:
    for override in overrides:
        _apply(data, override)
    try:
        return section.model_validate(data)
    except ValidationError as error:
        faults = [_fault(item, section) for item in error.errors()]
        raise ConfigError(
            f"{path} cannot be used, {len(faults)} fault(s):\n" + "\n".join(f"  {f}" for f in faults)
        ) from error


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as YAML, which reads back to the same recipe."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def bundled_or_file(kind: str, name: str | Path, folder: Path, known: Collection[str]) -> Path:
    """The YAML file that a user names: one of their own, or one of those that come with emotune, in ``folder``.

    Raises:
        ConfigError: for anything else, with the likely name.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.is_dir():
        raise ConfigError(f"{name} is a folder, expected a {kind} file.")
    bundled = str(name).removeprefix(f"{kind}s/").removesuffix(".yaml")
    if bundled in known:
        return folder / f"{bundled}.yaml"
    raise ConfigError(f"There is no file {name}. " + unknown_name_message(kind, bundled, known))


class _StrictLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice, which PyYAML resolves silently."""


def _unique_keys(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        key = str(loader.construct_object(key_node))
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key '{key}' appears twice", key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_keys)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: not valid YAML ({getattr(error, 'problem', None) or error}).") from error
    except RecursionError as error:
        raise ConfigError(f"{path} cannot be read: {_TOO_DEEP}.") from error
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    if data is None:
        raise ConfigError(f"{path} is empty.")
    if not isinstance(data, dict):
        raise ConfigError(
            f"{path} must hold keys with values (of a recipe: data, model, train, ...; of a study: steps, seeds, ...),"
            f" not a {type(data).__name__}."
        )
    return data


def parse_override(override: str) -> tuple[str, Any]:
    """``key.path=value`` to the key and the value, which is YAML.

    Raises:
        ConfigError: for anything else.
    """
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(f"Override '{override}': expected key.path=value, such as train.epochs=3.")
    try:
        return key, yaml.load(text, Loader=_StrictLoader)
    except RecursionError as error:
        raise ConfigError(f"Override {_SHORT.repr(override)}: {_TOO_DEEP}.") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that does not exist
        raise ConfigError(f"Override '{override}': the value is not valid YAML ({_first_line(error)}).") from error


def _apply(data: dict[str, Any], override: str) -> None:
    key, value = parse_override(override)
    *sections, last = key.split(".")
    place = data
    for section in sections:
        inner = place.get(section)
        if inner is not None and not isinstance(inner, dict):
            raise ConfigError(f"Override '{override}': '{section}' is not a section.")
        place[section] = inner = dict(inner or {})
        place = inner
    place[last] = value


def _fault(item: Mapping[str, Any], section: type[Section]) -> str:
    location = [str(part) for part in item["loc"] if str(part) not in ("literal['all','none']", "constrained-int")]
    path = ".".join(part for part in location if part not in _ADAPTER_SECTIONS) or section.__name__.lower()
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        return f"{path}: " + unknown_name_message("key", location[-1], _keys_of(location[:-1], section))
    if item["type"] == "union_tag_invalid":
        return path + _adapter_fault(item["input"])
    if item["type"] == "missing":
        return f"{path}: is missing"
    if item["type"] == "value_error":
        return f"{path}: {message}"
    if item["type"] == "model_type":
        message = f"expected a section with keys such as {', '.join(_keys_of(location, section)[:3])}"
    given = item["input"]
    cure = ""
    if item["type"] == "string_type" and isinstance(given, int | float):
        cure = f'; quote it to make it text: "{given}"'
    return f"{path}: {message[0].lower()}{message[1:]}, got {_SHORT.repr(given)}{cure}"


def _adapter_fault(given: object) -> str:
    if not isinstance(given, dict):
        return f": expected a section such as {{name: lora, rank: 8}}, got {_SHORT.repr(given)}"
    if "name" not in given:
        return f".name: is missing. Known: {', '.join(sorted(_ADAPTER_SECTIONS))}"
    return ".name: " + unknown_name_message("adapter", given["name"], _ADAPTER_SECTIONS)


def _first_line(error: Exception) -> str:
    return (getattr(error, "problem", None) or str(error)).splitlines()[0]


_TOO_DEEP = "its lists or sections lie in each other hundreds of levels deep; a recipe has five at most"
_SHORT = reprlib.Repr()  # an input can be as long as a file
_SHORT.maxstring = _SHORT.maxother = 120
_SHORT.maxlevel = 3


def _keys_of(location: Sequence[str], whole: type[Section]) -> list[str]:
    section: Any = whole
    for part in location:
        if part.isdigit():  # of a list of sections
            continue
        if part in _ADAPTER_SECTIONS:
            section = _ADAPTER_SECTIONS[part]
            continue
        field = section.model_fields.get(part)
        if field is None:
            return []
        section = field.annotation if isinstance(field.annotation, type) else get_args(field.annotation)[0]
    return [field.alias or name for name, field in section.model_fields.items()]
