#!/usr/bin/env bash
# jiwer 4.0.0, Python 3.11, Linux x86-64.
#
# The word error rate of a clip in which nobody speaks is the number of words that a recogniser inserted, not a rate: 2
# for two words, 5 for five, where an error, infinity or NaN would be expected of a division by no words. A mean over
# clips, as it is often taken, is then ruled by the silent ones. With other clips beside it the words are pooled, and the
# silent clip only adds its insertions.
#
# Ends with 0 while this is so. Output seen:
#   wer('', 'a b') = 2
#   wer('', 'a b c d e') = 5
#   wer('', '') = 0
#   mean over clips of wer 0.0 and of a silent clip with five words = 2.5, pooled = 1.25
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check jiwer==4.0.0 rapidfuzz==3.14.6
"$folder/venv/bin/python" - <<'PYTHON'
import jiwer

for words, expected in (("a b", 2.0), ("a b c d e", 5.0), ("", 0.0)):
    found = jiwer.wer("", words)
    print(f"wer('', {words!r}) = {found}")
    assert found == expected, found
truth, said = ["we are at home", ""], ["we are at home", "a b c d e"]
mean = sum(jiwer.wer(one, other) for one, other in zip(truth, said)) / 2
pooled = jiwer.wer(truth, said)
print(f"mean over clips of wer 0.0 and of a silent clip with five words = {mean}, pooled = {pooled}")
assert (mean, pooled) == (2.5, 1.25), (mean, pooled)
PYTHON
