#!/bin/sh
# The main job, start to end, on a synthetic corpus that ships with emotune: a few minutes on two processor cores.
set -eu
cd "$(dirname "$0")/../.."
out=${DEMO_OUT:-runs/demo}
rm -rf "$out"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"  # the model is so small that more threads only wait for each other
export PYTHONDONTWRITEBYTECODE=  # each command finds compiled what the one before it compiled

beside() { nice -n 19 emotune "$@"; }  # takes only what the training leaves of the cores
say() { printf '\n\033[1m%s\033[0m\n' "$1"; }

say "1/7  Read the corpus into a manifest (synthetic: espeak-ng speaks, no human does)"
emotune corpus read table examples/demo/corpus/labels.csv -o "$out/manifest.csv" --licence Apache-2.0
say "2/7  Train a tiny WavLM from random weights on the raw waveform"
{
    beside baseline demo/tiny_wavlm data.manifest="$out/manifest.csv" -o "$out/baseline" >"$out/baseline.log" 2>&1
    beside probe general/small_cpu data.manifest="$out/manifest.csv" probe.copies=0 -o "$out/pretrained" >"$out/pretrained.log" 2>&1
    beside evaluate "$out/pretrained" --split test >>"$out/pretrained.log" 2>&1
} &
background=$!
emotune train demo/tiny_wavlm data.manifest="$out/manifest.csv" data.cache="$out/clips" train.workers=1 "$@" -o "$out/run"
say "3/7  Test it on voices that it never heard"
emotune predict "$out/run" examples/demo/corpus/audio/v14-s2-anger.ogg >"$out/predict.log" 2>&1 &
predict=$!
emotune evaluate "$out/run" --split test
say "4/7  Beside it, meanwhile: pitch and energy statistics with logistic regression"
wait "$background" || { cat "$out/baseline.log" "$out/pretrained.log" >&2; exit 1; }
cat "$out/baseline.log"
say "5/7  And a linear head on the encoder of mini, which was pretrained on speech"
cat "$out/pretrained.log"
say "6/7  Predict a clip, meanwhile too"
wait "$predict" || { cat "$out/predict.log" >&2; exit 1; }
cat "$out/predict.log"
say "7/7  Where to look"
echo "report on unseen voices:  $out/run/test/report.html"
echo "the same for the baseline: $out/baseline/test/report.html"
echo "and with mini's encoder:   $out/pretrained/test/report.html"
echo "the model with its card:   $out/run/model/README.md"
