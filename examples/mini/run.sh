#!/bin/sh
# mini from its corpora to its card: sh examples/mini/run.sh DATA ENCODER [OUT]. DATA holds the folders ravdess, emodb4 and
# nemo, ENCODER is that of Whisper base. About ten minutes on two free processor cores, most of them for the robustness card.
set -eu
data=$1 encoder=$2 out=${3:-runs/mini}
here=$(dirname "$0")
mkdir -p "$out"

say() { printf '\n\033[1m%s\033[0m\n' "$1"; }
probe() {
    emotune probe "$here/$1.yaml" data.manifest="$out/$2.csv" model.backbone.checkpoint="$encoder" probe.cache="$out/features" \
        -o "$out/$1"
}

say "1/5  Read the corpora and join what they share: anger, happiness, sadness, neutral"
emotune corpus read ravdess "$data/ravdess" -o "$out/ravdess.csv"
emotune corpus read emodb "$data/emodb4" --licence "CC BY 4.0" -o "$out/emodb.csv"
emotune corpus read table "$data/nemo/labels.csv" --licence "CC BY-NC-SA 4.0" -o "$out/nemo.csv"
emotune corpus join "$out/ravdess.csv" "$out/emodb.csv" nemo="$out/nemo.csv" -o "$out/manifest.csv"
say "2/5  mini, and without each corpus in turn"
probe mini manifest
probe without_ravdess manifest
probe without_emodb manifest
probe without_nemo manifest
say "3/5  The variant on EmoDB alone"
probe emodb emodb
say "4/5  Test speakers, once: also under noise, in rooms and through channels"
emotune evaluate "$out/mini" --robustness
emotune evaluate "$out/emodb" --robustness
for corpus in ravdess emodb nemo; do emotune evaluate "$out/without_$corpus"; done
for corpus in ravdess nemo; do
    emotune evaluate "$out/emodb" --manifest "$out/$corpus.csv" --shared-classes -o "$out/emodb/$corpus"
done
say "5/5  The cards"
python "$here/card.py" "$out"
echo "mini:        $out/mini/model"
echo "EmoDB alone: $out/emodb/model"
