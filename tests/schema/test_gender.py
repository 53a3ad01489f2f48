"""Gender in the place of emotion."""

import dataclasses

import pytest

from emotune.errors import CorpusError
from emotune.schema.gender import gender_as_class


def test_gender_takes_the_place_of_emotion(tones):
    female = tones.utterances[0].utterance_id
    unknown = dataclasses.replace(tones.utterances[1], gender="unknown")
    manifest = gender_as_class(tones.replace_utterances([tones.utterances[0], unknown, *tones.utterances[2:]]))
    assert manifest.label_space.classes == ("female", "male")
    assert len(manifest) == len(tones) - 1
    assert {u.emotion for u in manifest if u.utterance_id == female} == {"female"}
    with pytest.raises(CorpusError, match="no utterance of gender male"):
        gender_as_class(tones.filter(lambda u: u.gender == "female"))
