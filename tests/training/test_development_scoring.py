"""Scoring between epochs tells how far it is."""

from builders.recordings import write_recording
from emotune.cli.train import TrainingDisplay
from emotune.inference import load
from emotune.runtime.listener import Listener, Listeners
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance
from emotune.training.development import _predicted


class Heard(Listener):
    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []

    def scoring(self, done: int, total: int) -> None:
        self.steps.append((done, total))


def test_every_development_clip_is_told_of(tiny_model, tmp_path):
    write_recording(tmp_path / "one.wav")
    predictor = load(tiny_model)
    rows = [Utterance(name, "one.wav", emotion="anger") for name in ("a", "b", "c")]
    manifest = Manifest(tuple(rows), predictor.label_space, root=tmp_path)
    heard, display = Heard(), TrainingDisplay()
    found = _predicted(predictor, manifest, None, Listeners(heard, display))
    assert [row.utterance_id for row in found] == ["a", "b", "c"]
    assert heard.steps == [(1, 3), (2, 3), (3, 3)]
    assert display.scoring_task is None


def test_the_score_of_a_sequence_model_is_told_too(capsys):
    TrainingDisplay().epoch([{"epoch": 1, "train_loss": 1.0, "development_score": 0.5, "seconds": 2.0}])
    assert "development score 0.500; 2 s" in capsys.readouterr().err
