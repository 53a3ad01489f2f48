"""What listeners pass on."""

from emotune.runtime.listener import Listener, WarningsOnce


class Kept(Listener):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)


def test_a_warning_that_every_fold_repeats_is_passed_on_once():
    kept = Kept()
    listener = WarningsOnce(kept)
    for fold in (1, 2):
        for line in ("warning: words of other languages", f"fold_{fold}:", "chosen: layer 3"):
            listener.say(line)
    assert kept.lines == [
        "warning: words of other languages", "fold_1:", "chosen: layer 3", "fold_2:", "chosen: layer 3"
    ]  # fmt: skip
