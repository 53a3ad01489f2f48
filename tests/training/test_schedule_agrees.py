"""Learning rates against transformers' schedules."""

import pytest
import torch
import transformers

from emotune.training.loop.schedule import rate_factor


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant_with_warmup"])
@pytest.mark.parametrize(("total", "warmup"), [(20, 0), (20, 4), (1, 0), (7, 7)])
def test_the_rate_of_every_step_is_that_of_transformers(schedule, total, warmup):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = transformers.get_scheduler(schedule, optimiser, num_warmup_steps=warmup, num_training_steps=total)
    for step in range(total):
        assert rate_factor(schedule, step, total=total, warmup=warmup) == pytest.approx(theirs.get_last_lr()[0])
        optimiser.step()
        theirs.step()
