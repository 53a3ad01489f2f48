"""Attacks as they are asked for: what is read, and what is refused."""

import pytest

from emotune.attacks.plan import plan_of, planned
from emotune.errors import ConfigError


def test_an_attack_is_read_with_its_options_and_written_as_it_is_read():
    attack = planned("pgd:snr_db=30, steps=20")
    assert (attack.name, attack.options.snr_db, attack.options.steps) == ("pgd", 30.0, 20)
    assert attack.words == "pgd, 30 dB under the speech, 20 steps"
    assert attack.slug == "pgd-snr_db=30-steps=20"
    assert planned(attack.text) == attack
    assert planned("fgsm:domain=log_mel,epsilon=0.05").words == "fgsm on the spectrogram, epsilon 0.05"


def test_an_attack_that_is_asked_for_twice_is_made_once():
    assert [attack.slug for attack in plan_of(["deepfool", "cw_l2", "deepfool:"])] == ["deepfool", "cw_l2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pdg:snr_db=30", "Unknown attack 'pdg', did you mean 'pgd'"),
        ("pgd", "--attack pgd: expected one of epsilon and snr_db"),
        ("fgsm:snr_db=30,epsilon=0.1", "expected one of epsilon and snr_db"),
        ("fgsm:snr_db=30,domain=log_mel", "snr_db is about sound"),
        ("fgsm:snr_db=loud", "snr_db: input should be a valid number"),
        ("fgsm:epsilon=-1", "epsilon: input should be greater than or equal to 0, got -1"),
        ("fgsm:snr=30", "snr: Unknown key 'snr', did you mean 'snr_db'"),
        ("fgsm:30", "expected NAME or NAME:KEY=VALUE,KEY=VALUE, got '30'"),
        ("fgsm:snr_db=30,snr_db=20", "'snr_db' is given twice"),
        ("deepfool:domain=mel", "domain: input should be 'waveform' or 'log_mel', got 'mel'"),
        ("", "Unknown attack ''"),
    ],
)
def test_what_is_no_attack_is_refused_with_what_is_expected(text, said):
    with pytest.raises(ConfigError) as caught:
        planned(text)
    assert said in str(caught.value)
