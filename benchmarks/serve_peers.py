"""Servers that `serve.py` starts beside emotune: itself without shared batches, and two that people write by hand.

    python benchmarks/serve_peers.py alone|pipeline|onnxruntime PORT MODEL

`pipeline` is a FastAPI handler around transformers' audio-classification pipeline, an encoder of the same size with
random weights; `onnxruntime` is one around the graph of the same model, one clip at a time. `alone` is emotune with the
clips of requests run one by one, where it would share batches.
"""

from __future__ import annotations

import io
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from fastapi import FastAPI, UploadFile


def app_of(answer: Any) -> Any:
    """A handler as public ones are: read the file, ask the model, answer."""
    app = FastAPI()

    @app.post("/v1/predict")
    def predict(file: UploadFile) -> Any:
        samples, rate = soundfile.read(io.BytesIO(file.file.read()), dtype="float32", always_2d=True)
        return answer(samples.mean(axis=1), rate)

    return app


def pipeline(model: Path) -> Any:
    """transformers' pipeline, with all threads that PyTorch takes by itself."""
    import torch
    from transformers import AudioClassificationPipeline, WhisperConfig, WhisperFeatureExtractor
    from transformers import WhisperForAudioClassification as Classifier

    from emotune.io.tables import read_json

    about = read_json(model / "config.json", "config")
    config = WhisperConfig(**about["backbone"], num_labels=len(about["classes"]))
    torch.manual_seed(0)
    asked = AudioClassificationPipeline(
        model=Classifier(config).eval(), feature_extractor=WhisperFeatureExtractor(feature_size=80)
    )
    return app_of(lambda samples, rate: asked({"raw": samples, "sampling_rate": rate}))


def plain_onnxruntime(model: Path) -> Any:
    """One session with all its threads, one clip at a time."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model / "model.onnx"), providers=["CPUExecutionProvider"])
    lock = threading.Lock()

    def answer(samples: np.ndarray, rate: int) -> dict[str, list[float]]:
        assert rate == 16000
        inputs = {"waveforms": samples[np.newaxis], "lengths": np.array([len(samples)], dtype=np.int64)}
        with lock:
            (probabilities, *_) = session.run(None, inputs)
        return {"probabilities": probabilities[0].tolist()}

    return app_of(answer)


def main() -> None:
    name, port, model, *limits = sys.argv[1:]
    if name == "alone":
        from emotune.runtime.memory_allocator import keep_few_kernels, keep_freed_memory
        from emotune.runtime.threads import spin_briefly
        from emotune.server import served_models
        from emotune.server.serve import serve
        from emotune.server.settings import settings_of

        served_models._batch_seconds = lambda predictor: None  # pyright: ignore
        for sets in (keep_few_kernels, keep_freed_memory, spin_briefly):  # as the command does
            sets()
        given = dict(limit.split("=") for limit in limits)
        serve([f"model={model}"], settings_of({key: float(value) for key, value in given.items()}), port=int(port))
        return
    import uvicorn

    app = {"pipeline": pipeline, "onnxruntime": plain_onnxruntime}[name](Path(model))
    uvicorn.run(app, port=int(port), log_level="warning")


if __name__ == "__main__":
    main()
