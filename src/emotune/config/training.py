"""The recipe's sections of training: augmentation, losses, fine-tuning, and linear models on frozen features."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from emotune.config.entries import OpenSection
from emotune.config.sampling import CurriculumSection, Sampling, SamplingSection
from emotune.data.augmentations import AUGMENTATIONS
from emotune.data.augmentations.options import (
    CompressionOptions,
    MixOptions,
    NoiseOptions,
    Probability,
    ReverberationOptions,
    StateMixOptions,
    StepOptions,
    TelephoneOptions,
)
from emotune.losses import LOSSES
from emotune.losses.options import (
    CCCOptions,
    CrossEntropyOptions,
    FocalOptions,
    GenderLossOptions,
    KLOptions,
    LossOptions,
    SoftCrossEntropyOptions,
)
from emotune.section import OneOf, Section, UnexpandedPath
from emotune.trackers import TRACKERS


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
    mix_states: StateMixOptions | None = None
    """{alpha: 0.4, probability: 0.5, at: states}: likewise, but behind the encoder; {at: features}: pooled vectors"""
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
    each epoch; null = all at once. ``stages`` names the epochs instead: {0: 2, 1: 4, 3: 8, 7: 12} trains two top layers
    from epoch 0 on, four from epoch 1, eight from 3 and twelve from 7, or all where there are fewer.

    Reference:
        The stages of the example are those of an entropy curriculum (Interspeech 2026; read second-hand).
    """

    start_epoch: int = Field(default=0, ge=0)
    """the first epoch, counted from 0, in which the encoder trains"""
    layers_per_epoch: int | None = Field(default=None, ge=1)
    """how many layers more train each epoch, from the top; null = all at once"""
    stages: dict[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]] = Field(default={})
    """{0: 2, 1: 4, 3: 8, 7: 12}: epoch, counted from 0, to how many top layers train from it on; {} = as above"""

    @model_validator(mode="after")
    def _one_way(self) -> UnfreezeSection:
        if not self.stages:
            return self
        if self.start_epoch or self.layers_per_epoch is not None:
            raise ValueError("stages say when each layer joins: leave out start_epoch and layers_per_epoch")
        rising = sorted(self.stages.items())
        if any(later[1] <= earlier[1] for earlier, later in pairwise(rising)):
            raise ValueError(f"stages must open more layers from epoch to epoch, got {dict(rising)}")
        return self

    @property
    def last_change(self) -> int:
        """Epoch, counted from 0, by which the first layers and each of the stages must have come."""
        return max(self.stages, default=self.start_epoch)


class VoteTargetsSection(Section):
    """Votes as training learns them, with a loss of votes; scores against votes keep them as they are."""

    dropout: float = Field(default=0.0, ge=0, lt=1)
    """probability of each annotator to be left out, drawn anew in every epoch"""
    secondary: float = Field(default=0.0, ge=0, lt=1)
    """share of the target from the columns secondary.<class>, which MSP-Podcast has; 0.1 in a curriculum of 2026"""


class GradientReversalSection(Section):
    """A discriminator that learns to tell groups of clips by their pooled features, which learn that it cannot.

    Each group counts alike. It is no part of the trained model.
    """

    by: Literal["corpus", "language", "gender", "speaker"] = "corpus"
    """column of the manifest with the groups"""
    weight: float = Field(default=0.1, gt=0)
    """of its loss in the sum"""
    hidden_size: int = Field(default=128, ge=1)
    """of the discriminator's hidden layer"""


class AdversarialSection(Section):
    """Attacks on a share of each training batch, made anew against the model as it is then.

    ``pgd`` takes ``steps`` gradients more for an attacked clip, ``fgsm`` one.
    """

    attack: Literal["fgsm", "pgd"] = "pgd"
    """fgsm: one step; pgd: several"""
    snr_db: float = Field(default=30.0, ge=-20, le=120)
    """the change of no sample is larger than the clip's root mean square, so many dB lower"""
    share: float = Field(default=0.5, gt=0, le=1)
    """of the clips of a batch, drawn for each on its own"""
    steps: int = Field(default=3, ge=1, le=1000)
    """of pgd"""


class TrainSection(Section):
    """Fine-tuning. Learning rates rise over ``warmup_share`` of the steps and fall to zero as ``schedule`` says.

    ``average`` is the decay d of a moving average of the weights, min(d, (1 + n) / (10 + n)) after n steps; it is then
    the average that is scored and kept.
    ``layer_decay`` d gives layer l of L the rate encoder_lr d^(L - l). A checkpoint is written after every epoch, and
    inside one every ``checkpoint_minutes``. With ``memory_gb`` batches are cut into as many as fit into it.
    ``calibrate`` fits a temperature, and thresholds for abstaining, to the finished model on development.
    What a frozen encoder or front end makes of clips that are the same in every epoch is kept in up to ``states_gb``.
    ``gradient_checkpointing`` keeps less of a forward pass and computes it again. ``fsdp`` spreads weights, gradients
    and optimiser over the processes. ``sampling: balanced`` draws the classes equally often, {by: corpus, power: 0.5}
    corpora by the root of their sizes.
    """

    epochs: int = Field(default=10, ge=1)
    """passes over the training utterances"""
    sampling: Sampling = SamplingSection()
    """natural, balanced, or {by: corpus, power: 0.5}"""
    curriculum: CurriculumSection | None = None
    """{}: utterances whose votes agree first, others as epochs go by"""
    vote_targets: VoteTargetsSection = VoteTargetsSection()
    """votes as training learns them"""
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
    """0.98: decay a step, smaller at first, of a moving average of the weights, which is scored and kept"""
    patience: int | None = Field(default=None, ge=1)
    """stop after so many epochs without a better development score"""
    checkpoint_minutes: float = Field(default=10.0, ge=0)
    """between checkpoints inside an epoch; one more after each epoch"""
    memory_gb: float | None = Field(default=None, gt=0)
    """8: batches are cut, and accumulate raised, until a step fits into this"""
    adversarial: AdversarialSection | None = None
    """{attack: pgd, snr_db: 30, share: 0.5, steps: 3}: learns from attacked clips too"""
    gradient_reversal: GradientReversalSection | None = None
    """{by: corpus, weight: 0.1, hidden_size: 128}: pooled features learn not to tell corpora apart"""
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
    """memory for what a frozen encoder or front end makes of clips that are the same each epoch, one by one;
    0 = none"""
    workers: int = Field(default=0, ge=0)
    """processes that decode and augment"""
    trackers: list[Annotated[str, OneOf(TRACKERS.kind, TRACKERS)]] = Field(default=[])
    """[mlflow, trackio, wandb]: where figures are kept too, beside TensorBoard's file"""
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
    standardize: Literal["corpus", "speaker"] = "corpus"
    """speaker = take the mean of each training speaker's features away, for a model that predicts with --adapt"""
    cache: UnexpandedPath = Path("~/.cache/emotune/features")
    """a folder for features"""
