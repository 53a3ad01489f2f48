#!/usr/bin/env bash
# transformers 5.23.0, torch 2.13.0, Python 3.11, Linux x86-64.
#
# `WhisperForAudioClassification.from_pretrained` on a folder that `WhisperEncoder.save_pretrained` wrote takes none of
# its weights: the folder's names lack the prefix `encoder.`, and it is not added, as it is for a WavLM encoder under its
# classifier. There is no error; the model that is returned is random, and fine-tuning goes on from there.
#
# Ends with 0 while this is so. Output seen:
#   wavlm: weights of the encoder that came from the folder: 58 of 58
#   whisper: weights of the encoder that came from the folder: 0 of 37
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0
cat > "$folder/load.py" <<'PYTHON'
import sys
from pathlib import Path

import torch
from transformers import (
    WavLMConfig,
    WavLMForSequenceClassification,
    WavLMModel,
    WhisperConfig,
    WhisperForAudioClassification,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder

folder = Path(sys.argv[1])
wavlm = WavLMConfig(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, conv_dim=(32,) * 7,
    num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4, classifier_proj_size=16,
)
whisper = WhisperConfig(
    d_model=32, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=64, decoder_layers=1,
    decoder_attention_heads=4, decoder_ffn_dim=64, classifier_proj_size=16, num_mel_bins=80,
)
cases = {
    "wavlm": (WavLMModel(wavlm), WavLMForSequenceClassification, "wavlm."),
    "whisper": (WhisperEncoder(whisper), WhisperForAudioClassification, "encoder."),
}
for name, (encoder, classifier, prefix) in cases.items():
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.fill_(0.125)
    encoder.save_pretrained(folder / name)
    loaded = dict(classifier.from_pretrained(folder / name).named_parameters())
    own = [key for key, _ in encoder.named_parameters()]
    came = sum(bool((loaded[prefix + key] == 0.125).all()) for key in own)
    print(f"{name}: weights of the encoder that came from the folder: {came} of {len(own)}")
    assert came == (len(own) if name == "wavlm" else 0), name
PYTHON
"$folder/venv/bin/python" "$folder/load.py" "$folder" 2>"$folder/stderr.txt" || { cat "$folder/stderr.txt" >&2; exit 1; }
