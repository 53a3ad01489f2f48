#!/bin/sh
# The augmentation study on the sentences of examples/semantics: sh run.sh WHISPER_TINY_EN TEXT_ENCODER OUT [LLM]
# LLM is what `emotune annotate --llm` takes, by default the rule baseline. Needs espeak-ng.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
encoder=$1 text_encoder=$2 out=$3 llm=${4:-lexicon}
mkdir -p "$out"
cd "$out"
test -f corpus/labels.csv || python "$here/../semantics/make_corpus.py" corpus
emotune corpus read table corpus/labels.csv -o all.csv
emotune annotate all.csv -o annotated.csv --llm "$llm" --split train
rater=$(python -c "import json; print(*json.load(open('annotated.csv.meta.json'))['information']['raters'])")
part() { emotune corpus augment annotated.csv --rater "$rater" --human 0.25 "$@"; }
part --extra 0 -o human.csv
for share in 25 50 100; do part --extra "$(awk "BEGIN{print $share/100}")" -o "rater-$share.csv"; done
part --extra 1 --labels random -o random-100.csv
part --extra 1 --labels human -o human-100.csv
emotune study "$here/augmentation.yaml" model.backbone.checkpoint="$encoder" \
    "model.conditions.text={source: given, encoder: $text_encoder}" -o study
