"""The parts themselves."""

import torch
from torch import nn

from emotune.data.augmentations.step import Step
from emotune.losses.base import Loss, known_shares
from emotune.losses.class_loss import ClassLoss
from emotune.models.adapters.insertion import Inserted
from emotune.models.aggregations.layer_mix import LayerMix
from emotune.models.aggregations.pooling import Pooling
from emotune.models.conditions.join import Join
from emotune.models.heads.head import Head
from emotune.schema.truth import Truth


class Hinge(ClassLoss):
    def __init__(self, *, margin=1.0):
        super().__init__()
        self.margin = margin

    def values(self, prediction, truth):
        shares = self.weighted_shares(truth)
        of_truth = (shares * prediction).sum(dim=1)
        of_others = prediction.masked_fill(shares > 0, float("-inf")).amax(dim=1)
        return (self.margin - of_truth + of_others).clamp(min=0) * shares.sum(dim=1)


class Length(Head):
    about = "the length of the clip"

    @property
    def size(self):
        return 1

    @property
    def truths(self):
        return {"seconds": Truth(lambda utterance: (utterance.duration_s or float("nan"),))}


class LengthError(Loss):
    head, truth = "length", "seconds"

    def values(self, prediction, truth):
        seconds, known = known_shares(truth)
        return (prediction.float() - seconds).square().sum(dim=1) * known

    def normaliser(self, truth):
        return known_shares(truth)[1].float().sum()


class Largest(Pooling):
    def __init__(self, features, *, share=0.5):
        super().__init__(features)
        self.share = share

    def forward(self, sequence, mask):
        rows = []
        for frames, real in zip(sequence, mask, strict=True):
            own = frames[real]
            rows.append(own.topk(max(1, round(self.share * len(own))), dim=0).values.mean(dim=0))
        return torch.stack(rows)


class Middle(LayerMix):
    def __init__(self, num_states, features, *, initial=None, place=0.5):
        super().__init__(num_states, features, initial=initial)
        self.index = round(place * (num_states - 1))

    def forward(self, states):
        return states.states[self.index]


def choose_norms(backbone, layers, *, biases=True):
    norms = [module for layer in layers for module in layer.modules() if isinstance(module, nn.LayerNorm)]
    return Inserted([norm.weight for norm in norms] + [norm.bias for norm in norms if biases], {})


class Added(Join):
    def __init__(self, features, extra):
        super().__init__(features, extra)
        self.output_size = features
        self.projection = nn.Linear(extra, features)

    def forward(self, features, extra):
        return features + self.projection(extra)


class Flip(Step):
    def __init__(self, *, times=1.0):
        self.times = times

    def __call__(self, samples, generator):
        return -self.times * samples
