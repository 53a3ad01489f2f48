#!/usr/bin/env bash
# transformers 4.57.6 and 5.23.0, torch 2.13.0, Python 3.11, Linux x86-64.
#
# A classifier of clips that sums the states of all layers (`use_weighted_layer_sum`) over an encoder with the norm
# before its layers (`do_stable_layer_norm`, as WavLM Large and wav2vec 2.0 Large have it) answers otherwise in the two
# versions, with the same folder and the same clip, and without a word: the last of `hidden_states` is the state after
# the encoder's final norm in 4.57.6, and the raw output of the last layer in 5.23.0. A model that was trained under the
# one is another model under the other. Encoders with the norm behind the layers, and classifiers of the last state
# alone, answer the same.
#
# Ends with 0 while this is so. Output seen:
#   norm first, weighted sum   4.57.6 [0.4821, 0.1093, 0.4086]   5.23.0 [0.5243, 0.0629, 0.4128]
#   norm first, last state     4.57.6 [0.49, 0.1022, 0.4078]   5.23.0 [0.49, 0.1022, 0.4078]
#   norm behind, weighted sum  4.57.6 [0.3605, 0.2456, 0.3939]   5.23.0 [0.3605, 0.2456, 0.3939]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/answer.py" <<'PYTHON'
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import WavLMConfig, WavLMForSequenceClassification

CASES = {
    "norm first, weighted sum": (True, True),
    "norm first, last state": (True, False),
    "norm behind, weighted sum": (False, True),
}
folder = Path(sys.argv[1])
clip = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 16000)).astype(np.float32))
answers = {}
for name, (norm_first, weighted) in CASES.items():
    place = folder / name.replace(" ", "_")
    if not place.exists():
        torch.manual_seed(0)
        config = WavLMConfig(
            hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64, conv_dim=(32,) * 7,
            num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4, classifier_proj_size=16, num_labels=3,
            do_stable_layer_norm=norm_first, feat_extract_norm="layer" if norm_first else "group",
            use_weighted_layer_sum=weighted, initializer_range=0.2,
        )
        WavLMForSequenceClassification(config).save_pretrained(place)
    model = WavLMForSequenceClassification.from_pretrained(place).eval()
    with torch.no_grad():
        answers[name] = [round(value, 4) for value in model(clip).logits.softmax(1)[0].tolist()]
(folder / f"{transformers.__version__}.json").write_text(json.dumps(answers))
PYTHON
for version in 4.57.6 5.23.0; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "transformers==$version"
    "$folder/$version/bin/python" "$folder/answer.py" "$folder" 2>"$folder/stderr.txt" || { cat "$folder/stderr.txt" >&2; exit 1; }
done
python3 - "$folder" <<'PYTHON'
import json
import sys
from pathlib import Path

old, new = (json.loads((Path(sys.argv[1]) / f"{version}.json").read_text()) for version in ("4.57.6", "5.23.0"))
for name in old:
    print(f"{name:26} 4.57.6 {old[name]}   5.23.0 {new[name]}")
    difference = max(abs(one - other) for one, other in zip(old[name], new[name]))
    assert difference > 0.005 if name == "norm first, weighted sum" else difference <= 0.0001, name
PYTHON
