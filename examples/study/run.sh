#!/bin/sh
# The whole study on a made-up MSP-Podcast, from the corpus to the challenge's files: minutes on two processor cores.
set -eu
cd "$(dirname "$0")/../.."
out=${STUDY_OUT:-runs/study-demo}
rm -rf "$out"

export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"  # the models are so small that two runs at a time gain more than two threads

say() { printf '\n\033[1m%s\033[0m\n' "$1"; }

say "1/8  Make up a corpus in MSP-Podcast's layout (no human speaks in it)"
python examples/study/make_corpus.py "$out/corpus" --truth "$out/test3-truth.csv"
say "2/8  Read it into a manifest"
emotune corpus read msp_podcast "$out/corpus" -o "$out/read.csv"
emotune corpus check "$out/read.csv"
say "3/8  Train a gender predictor, and ask it where gender is hidden"
emotune train examples/study/gender.yaml data.manifest="$out/read.csv" data.cache="$out/clips" train.workers=1 \
    -o "$out/gender"
emotune gender "$out/read.csv" --model "$out/gender" -o "$out/manifest.csv"
say "4/8  The study: each step trained, tested, and compared with the one before"
emotune study examples/study/study.yaml data.manifest="$out/manifest.csv" data.cache="$out/clips" train.workers=1 "$@" \
    --runs-at-a-time 2 -o "$out/study"
say "5/8  Fuse the systems on development, and apply the fusion to Test3"
runs="$out/study/runs"
emotune fuse mean="$runs/mean/seed_0" std="$runs/std/seed_0" mean_std="$runs/mean_std/seed_0" \
    gender_given="$runs/gender_given/seed_0" gender_target="$runs/gender_target/seed_0" --split test3 -o "$out/fused"
say "6/8  Votes teach the corpus's uneven prior, and Test3 has as many turns of every class: shift one to the other"
emotune adjust "$runs/soft_labels/seed_0" --split test3 --prior uniform -o "$out/shifted.csv"
say "7/8  The challenge's files, checked against the recordings of Test3"
ls "$out/corpus/Audios" | grep test3 > "$out/test3.txt"
submit() { emotune submit "$1" --task "$2" --expected "$out/test3.txt" -o "$out/submission-$3.csv"; }
submit "$out/fused/predictions.csv" categories fused
submit "$runs/soft_labels/seed_0/test3/predictions.csv" categories votes
submit "$out/shifted.csv" categories votes-shifted
submit "$runs/multi_task/seed_0/test3/predictions.csv" attributes attributes
say "8/8  What the organisers would say, who know the labels"
for name in fused votes votes-shifted attributes; do
    printf '%s, ' "$name"
    python examples/study/organisers.py "$out/submission-$name.csv" "$out/test3-truth.csv"
done
say "Where to look"
echo "the study:       $out/study/study.html"
echo "the fusion:      $out/fused/fusion.html"
echo "the submissions: $out/submission-*.csv"
