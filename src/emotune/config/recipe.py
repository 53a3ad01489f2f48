"""The sections of a recipe: what each key may be, and what does not go together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from emotune.config.conditions import ConditionsSection
from emotune.config.entries import Chosen, EntrySection, OpenSection
from emotune.config.sampling import Sampling, SamplingSection
from emotune.config.start import with_start
from emotune.corpora import CORPORA
from emotune.data.augmentations import AUGMENTATIONS
from emotune.data.augmentations.options import (
    CompressionOptions,
    MixOptions,
    NoiseOptions,
    Probability,
    ReverberationOptions,
    StepOptions,
    TelephoneOptions,
)
from emotune.losses import LOSSES
from emotune.losses.options import (
    CCCOptions,
    ClassWeightOptions,
    CrossEntropyOptions,
    FocalOptions,
    GenderLossOptions,
    KLOptions,
    LossOptions,
    SoftCrossEntropyOptions,
)
from emotune.models.adapters import ADAPTERS
from emotune.models.aggregations import LAYER_MIXES, POOLINGS, VARAN
from emotune.models.backbones import BACKBONES
from emotune.models.conditions import JOINS
from emotune.registry import unknown_name_message
from emotune.schema.gender import GENDER
from emotune.section import OneOf, Section, UserPath, with_home


def _checked_home(path: Path) -> Path:
    """The path as it was given, so that a written recipe does not name anybody's home."""
    with_home(path)
    return path


LARGEST_SEED = 2**32 - 1  # of NumPy's generators


class VotesSection(Section):
    """Labels from the annotators' votes, see ``votes.consensus.relabelled``; the defaults change nothing."""

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


class DataSection(Section):
    """The data to learn from. Either ``manifest``, or ``corpus`` and ``root`` to read it on the way.

    ``splits`` names the values that make up each split, such as {train: {speaker: ["01"]}}; without it the manifest's
    own split column counts. ``labels`` chooses whose labels of a ``corpus`` with several sources. ``map`` renames or
    merges classes, ``drop`` leaves classes out; both are reported. ``votes`` then makes labels of annotators' votes.
    ``budget`` keeps this share of each class's training utterances; smaller budgets of one seed lie within larger ones.
    ``target: gender`` learns the speaker's gender in place of emotion: a gender predictor for other models.
    Clips of any split beyond ``max_duration_s``, or below what the encoder needs, are an error before training, or
    left out by ``drop``, or ``cut`` and given silence (``pad``), and so the model does it later too.
    ``cache`` is a folder for decoded clips of training and development, which may grow to ``cache_gb``.
    """

    manifest: UserPath | None = None
    """the utterances; either this, or corpus and root"""
    corpus: Annotated[str, OneOf(CORPORA.kind, CORPORA)] | None = None
    """a name from `emotune corpus read --help`"""
    root: UserPath | None = None
    """its folder"""
    labels: str | None = None
    """whose labels, of a corpus with several sources; null = its first"""
    classes: bool = True
    """learn the emotion classes"""
    dimensions: list[str] = Field(default=[])
    """learn these dimensions of the manifest; [] = none"""
    map: dict[str, str] = Field(default={})
    """rename or merge classes; reported"""
    drop: list[str] = Field(default=[])
    """leave classes out; reported"""
    votes: VotesSection = VotesSection()
    """labels from annotators' votes (votes.<class>)"""
    splits: dict[str, dict[str, list[str]]] = Field(default={})
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
    """a folder for decoded clips of training and development; shared by runs and processes"""
    cache_gb: float = Field(default=50.0, gt=0)
    """how much it may hold; what was used longest ago goes first"""
    allow: list[Literal["speaker_overlap", "recording_overlap"]] = Field(default=[])
    """[speaker_overlap]: train although splits share speakers, [recording_overlap]: recordings"""

    @model_validator(mode="after")
    def _one_source(self) -> DataSection:
        if (self.manifest is None) == (self.corpus is None):
            raise ValueError("give either manifest, or corpus and root")
        if self.corpus is not None and self.root is None:
            raise ValueError(f"root is missing: the folder that holds {self.corpus}, as data.root=PATH")
        if self.corpus == "table":
            raise ValueError(
                "a table is read first: emotune corpus read table FILE -o manifest.csv, then data.manifest"
            )
        if self.target == "gender" and (not self.classes or self.dimensions or self.votes != VotesSection()):
            raise ValueError(
                "target: gender learns neither dimensions nor votes: leave dimensions, votes and classes out"
            )
        if not self.classes and not self.dimensions:
            raise ValueError(
                "classes is false and dimensions is empty: there is nothing to learn; name dimensions of the manifest,"
                " such as data.dimensions=[arousal]"
            )
        return self


class BackboneSection(Section):
    """The encoder: published weights from ``checkpoint``, or random ones from ``config``.

    ``checkpoint`` is a local folder, ``hf:owner/name[@revision]`` on the Hugging Face Hub, or the plain name of an
    encoder that its makers published there.

    ``layers`` keeps the first k; with ``final_norm`` all are kept and the last state passes the norm behind them;
    ``train`` is all, none, or the number of top layers; the front end trains only on request.
    """

    name: Annotated[str, OneOf(BACKBONES.kind, BACKBONES)]
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
    def _one_source(self) -> BackboneSection:
        if (self.checkpoint is None) == (self.config is None):
            raise ValueError("give either checkpoint (Hub name or folder) or config (random weights)")
        keys = BACKBONES.options(self.name)
        known = ["model_type", *(self.config or {} if keys is None else keys)]  # of others' that name no keys: any
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


class VaranOptions(Section):
    """Options of ``layer_mix: varan``: weight and shape of the prior over layers."""

    beta: float = Field(default=0.05, ge=0)
    """weight of KL(prior || posterior over layers)"""
    prior: Literal["chi2", "geometric", "uniform"] = "chi2"
    """shape of the prior over layers"""
    parameter: float = Field(default=35.0, gt=0)
    """degrees of freedom of chi2, or the geometric prior's probability"""

    @model_validator(mode="after")
    def _share(self) -> VaranOptions:
        if self.prior == "geometric" and self.parameter >= 1:
            raise ValueError(f"parameter is {self.parameter:g}, expected a probability below 1 for prior: geometric")
        return self


class ModelSection(Section):
    """The parts on top of the backbone. With an ``adapter``, ``backbone.train`` says how many top layers get it.

    With ``start`` encoder, layer mix and pooling are those of a trained model, with their weights, and so are heads of
    the same classes or dimensions; other heads are new. Of ``backbone`` only ``train`` and ``train_front_end`` count.
    """

    start: str | None = None
    """a model or run folder to go on from, in place of backbone, layer_mix and pooling"""
    backbone: BackboneSection
    """the encoder"""
    adapter: Annotated[EntrySection | None, Chosen(ADAPTERS, example="{name: lora, rank: 8}")] = None
    """{name: lora, rank: 8, ...}, {name: bottleneck, ...} or {name: bitfit}"""
    layer_mix: Annotated[str | EntrySection, Chosen(LAYER_MIXES, beside=(VARAN,))] = "weighted_sum"
    """how the layers' states become one"""
    layer_mix_initial: list[Annotated[float, Field(gt=0)]] | None = None
    """where a weighted sum starts: one share for the input of layer 1, then one a layer"""
    varan: VaranOptions = VaranOptions()
    """options of layer_mix: varan"""
    pooling: Annotated[str | EntrySection, Chosen(POOLINGS)] = "mean_std"
    """how frames become one vector"""
    hidden_size: int | None = Field(default=None, ge=1)
    """a hidden layer in the heads; null = linear heads"""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """share of the pooled features that training sets to zero"""
    conditions: ConditionsSection = ConditionsSection()
    """what the model is given beside the sound; null = nothing"""
    join: Annotated[str | EntrySection, Chosen(JOINS)] = "concat"
    """how conditions join the pooled sound"""

    @property
    def encoder(self) -> str:
        """Name of the encoder, or of the model to go on from, for people and folders."""
        return self.backbone.encoder if self.start is None else encoder_name(self.backbone.name, self.start)

    @model_validator(mode="after")
    def _fits_together(self) -> ModelSection:
        if self.adapter is not None and (self.backbone.train in ("none", 0) or self.backbone.train_front_end):
            raise ValueError(
                "an adapter needs backbone.train: all, or the number of top layers that get it, and no train_front_end"
            )
        if self.layer_mix_initial is not None and self.layer_mix != "weighted_sum":
            raise ValueError("layer_mix_initial goes with layer_mix: weighted_sum; leave it out (null)")
        if self.varan != VaranOptions() and self.layer_mix != VARAN:
            raise ValueError("varan holds options of layer_mix: varan; leave it out, or choose that mix")
        return self


class AugmentationSection(OpenSection):
    """Random changes of a clip in training, in this order; null leaves a step out. Other packages add steps of theirs.

    ``probability`` is that of every step but mixing and the crop; a step's own one takes its place.
    """

    entries = AUGMENTATIONS
    least = StepOptions

    probability: Probability = 1.0
    """of each step but mix and crop, drawn for each on its own"""
    mix: MixOptions | None = None
    """{alpha: 0.4, probability: 0.5}: with another clip, labels with labels"""
    speed: float | None = Field(default=None, gt=0, le=0.7)
    """0.1: resampled by exp(u), u uniform in [-0.1, 0.1]"""
    crop_s: float | None = Field(default=None, gt=0)
    """random piece of at most this many seconds"""
    reverberation: ReverberationOptions | None = None
    """{rt60_s: [0.2, 0.8], direct_db: [0, 10]}, or {folder: impulse_responses/}"""
    noise: NoiseOptions | None = None
    """{snr_db: [10, 30], colour: white}, or {snr_db: [10, 30], folder: noises/}"""
    telephone: TelephoneOptions | None = None
    """{probability: 0.2}: only 300 to 3400 Hz are left"""
    compression: CompressionOptions | None = None
    """{codecs: [alaw, gsm, mp3, mulaw, opus]}"""
    gain_db: float | None = Field(default=None, ge=0, le=60)
    """6: level changed by up to this much"""
    band_masks: tuple[Annotated[int, Field(ge=1)], Annotated[float, Field(gt=0)]] | None = None
    """[2, 300]: two bands of up to 300 mel filtered out"""
    time_masks: tuple[Annotated[int, Field(ge=1)], Annotated[float, Field(gt=0)]] | None = None
    """[2, 0.2]: two spans of up to 0.2 s set to zero"""


class LossSection(OpenSection):
    """The losses that are summed by weight: those of classes where classes are learnt, CCC where dimensions are.

    A loss of another package is a key too.
    """

    entries = LOSSES
    least = LossOptions

    cross_entropy: CrossEntropyOptions = CrossEntropyOptions()
    """over classes"""
    focal: FocalOptions = FocalOptions()
    """cross-entropy times (1 - p)^gamma, for hard and rare classes; added to cross_entropy"""
    soft_cross_entropy: SoftCrossEntropyOptions = SoftCrossEntropyOptions()
    """against the annotators' votes (votes.<class> of the manifest)"""
    kl: KLOptions = KLOptions()
    """KL(votes || prediction)"""
    gender: GenderLossOptions = GenderLossOptions()
    """cross-entropy of the speaker's gender, learnt beside emotion"""
    ccc: CCCOptions = CCCOptions()
    """mean of 1 - CCC over the dimensions, of the whole batch"""


class UnfreezeSection(Section):
    """Gradual unfreezing of the encoder, from the top.

    Before ``start_epoch`` (counted from 0) the encoder is frozen; from then on ``layers_per_epoch`` more layers train
    each epoch; null = all at once.
    """

    start_epoch: int = Field(default=0, ge=0)
    """the first epoch, counted from 0, in which the encoder trains"""
    layers_per_epoch: int | None = Field(default=None, ge=1)
    """how many layers more train each epoch, from the top; null = all at once"""


class TrainSection(Section):
    """Fine-tuning. Learning rates rise over ``warmup_share`` of the steps and fall to zero as ``schedule`` says.

    ``average`` is the decay a step of a moving average of the weights, which then is what is scored and kept.
    ``layer_decay`` d gives layer l of L the rate encoder_lr d^(L - l). A checkpoint is written after every epoch, and
    inside one every ``checkpoint_minutes``. With ``memory_gb`` batches are cut into as many as fit into it.
    ``calibrate`` fits a temperature, and thresholds for abstaining, to the finished model on development.
    The states of a frozen encoder that hears the same clips in every epoch are kept in up to ``states_gb`` of memory.
    ``gradient_checkpointing`` keeps less of a forward pass and computes it again. ``fsdp`` spreads weights, gradients
    and optimiser over the processes. ``sampling: balanced`` draws the classes equally often, {by: corpus, power: 0.5}
    corpora by the root of their sizes.
    """

    epochs: int = Field(default=10, ge=1)
    """passes over the training utterances"""
    sampling: Sampling = SamplingSection()
    """natural, balanced, or {by: corpus, power: 0.5}"""
    batch_seconds: float = Field(default=60.0, gt=0)
    """audio-seconds a batch, of clips of similar duration"""
    accumulate: int = Field(default=1, ge=1)
    """batches an optimiser step; every loss, CCC too, is that of all of them together"""
    encoder_lr: float = Field(default=1e-5, gt=0)
    """highest learning rate of the encoder"""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """d: layer l of L trains at encoder_lr * d^(L - l)"""
    unfreeze: UnfreezeSection | None = None
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


class ProbeSection(Section):
    """Logistic (ridge, for dimensions) regression on frozen pooled features of one layer, chosen on development.

    ``leave_out: speaker`` holds each speaker out in turn and chooses layer and ``inverse_regularisation`` by the same
    rule among the other speakers only. With ``copies``, half of what ``train.sampling`` draws of an utterance is the
    clip itself, and half are its copies, changed as ``augmentation`` says.
    """

    pooling: Literal["mean", "mean_std"] = "mean_std"
    """over frames, of each layer"""
    inverse_regularisation: list[Annotated[float, Field(gt=0)]] = Field(default=[0.01, 0.1, 1.0], min_length=1)
    """C; chosen on development together with the layer"""
    leave_out: Literal["speaker", "session"] | None = None
    """speaker or session: nested leave-one-out instead of development"""
    copies: int = Field(default=0, ge=0)
    """augmented copies of each training utterance to learn from beside itself"""
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
    data: DataSection
    """what is learnt from"""
    model: ModelSection
    """the encoder and what is built on it"""
    augmentation: AugmentationSection = AugmentationSection()
    """what training does to a clip"""
    loss: LossSection = LossSection()
    """what training minimises"""
    train: TrainSection = TrainSection()
    """how fine-tuning goes"""
    probe: ProbeSection = ProbeSection()
    """linear models on frozen features"""

    @model_validator(mode="before")
    @classmethod
    def _started(cls, data: Any) -> Any:
        return with_start(data)

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        faults = []
        if self.protocol is not None and self.probe.leave_out is not None:
            faults.append("protocol says what is held out: leave out either protocol or probe.leave_out")
        if self.probe.copies and (self.probe.leave_out is not None or self.augmentation.mix is not None):
            faults.append("probe.copies goes neither with probe.leave_out nor with augmentation.mix: leave out either")
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
        if self.train.sampling.by in ("class", "corpus_and_class"):
            faults += self._sampled_by_class()
        if self.data.target == GENDER and (self.loss.gender.weight or dict(self.model.conditions)[GENDER]):
            faults.append(
                "data.target: gender learns gender already: leave out loss.gender and model.conditions.gender"
            )
        vote_losses = any(options.weight and options.class_truth == "votes" for _, options in self.loss)
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

    def _sampled_by_class(self) -> list[str]:
        """Options that do not go with sampling by class."""
        if not self.data.classes:
            return [
                f"train.sampling.by: {self.train.sampling.by} draws classes, and data.classes is false; use natural"
            ]
        if self.train.sampling != SamplingSection(by="class"):
            return []
        weighted = {name: loss for name, loss in self.loss if isinstance(loss, ClassWeightOptions)}
        return [
            f"train.sampling: balanced and loss.{name}.class_weights: {loss.class_weights} would make up for rare"
            f" classes twice; give loss.{name}.class_weights=none, or use train.sampling: natural"
            for name, loss in weighted.items()
            if loss.weight and loss.class_weights != "none"
        ]


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
