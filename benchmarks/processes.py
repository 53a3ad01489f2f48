"""How far training in two processes, whole or sharded, lies from training in one that accumulates twice as much.

    python benchmarks/processes.py OUTPUT_FOLDER

A tiny WavLM on the synthetic corpus of the demo, with class weights, dropout and mixing, once with cross-entropy and
once with CCC beside it, by plain gradient descent: the gradients of the first step are compared, the losses of all
steps of two epochs, the weights and the development figures. On this machine's CPU, through gloo.
"""

import argparse
import csv
import dataclasses
import os
import socket
from pathlib import Path

import torch
from torch.distributed.tensor import DTensor

from emotune.config.reading import load_recipe
from emotune.config.recipe import Recipe
from emotune.corpora import CORPORA, ReadingOptions, read_corpus
from emotune.io.tables import read_rows
from emotune.models.store import load_model
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.splits import assign_splits
from emotune.training.fine_tune import train_run
from emotune.training.loop import processes
from emotune.training.loop.trainer import Trainer

CORPUS = Path(__file__).parents[1] / "examples" / "demo" / "corpus"
WAYS = {"one process, accumulate 2": (1, 2, False), "two processes": (2, 1, False), "two, sharded": (2, 1, True)}


def manifest_of(folder: Path) -> Path:
    """The demo corpus with splits, and an arousal that follows the number of the clip."""
    manifest = read_corpus(CORPORA["table"], CORPUS / "labels.csv", ReadingOptions(audio_root=CORPUS))
    manifest = assign_splits(manifest, {"train": 0.7, "development": 0.3})
    rows = [dataclasses.replace(u, dimensions={"arousal": 1 + 6 * (n % 7) / 6}) for n, u in enumerate(manifest)]
    space = LabelSpace(manifest.label_space.classes, {"arousal": Scale(1, 7)})
    dataclasses.replace(manifest, utterances=tuple(rows), label_space=space).write(folder / "m.csv")
    return folder / "m.csv"


def recipe_of(manifest: Path, *, ccc: bool, accumulate: int, fsdp: bool) -> Recipe:
    recipe = load_recipe("demo/tiny_wavlm", [f"data.manifest={manifest}"]).model_dump(mode="json")
    recipe["model"]["backbone"]["config"] |= {"hidden_dropout": 0.1, "attention_dropout": 0.1}
    recipe["data"]["dimensions"] = ["arousal"] if ccc else []
    recipe["augmentation"] = {"gain_db": 6.0, "mix": {"alpha": 1.0}}
    recipe["train"] |= {"epochs": 2, "accumulate": accumulate, "fsdp": fsdp, "schedule": "constant_with_warmup"}
    recipe["train"] |= {"warmup_share": 0.0, "encoder_lr": 0.02, "head_lr": 0.02, "mix_lr": 0.02, "average": None}
    return Recipe.model_validate(recipe)


def one_of(count: int, number: int, port: str, recipe: Recipe, folder: Path) -> None:
    """A process of a group; the first one keeps the gradients of the first step."""
    os.environ |= {"WORLD_SIZE": str(count), "RANK": str(number), "LOCAL_RANK": str(number)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    torch.set_num_threads(1)
    torch.optim.AdamW = torch.optim.SGD  # Adam would blow up the rounding of gradients that are zero
    step, losses = torch.optim.SGD.step, []

    def kept(self, *arguments, **options):
        if not (folder / "gradients.pt").exists():
            found = [p.grad.full_tensor() if isinstance(p.grad, DTensor) else p.grad for p in parameters(self)]
            if processes.is_first():
                torch.save([gradient.clone() for gradient in found], folder / "gradients.pt")
        return step(self, *arguments, **options)

    def told(self, *arguments):
        figures = step_of(self, *arguments)
        losses.append(figures[0])
        return figures

    step_of, Trainer._step = Trainer._step, told
    torch.optim.SGD.step = kept
    train_run(recipe, folder / "run")
    if number == 0:
        torch.save(losses, folder / "losses.pt")
    if recipe.train.fsdp:
        processes.leave()


def parameters(optimiser: torch.optim.Optimizer) -> list[torch.nn.Parameter]:
    return [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]


def run(count: int, recipe: Recipe, folder: Path) -> None:
    folder.mkdir(parents=True)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    context = torch.multiprocessing.get_context("spawn")
    group = [context.Process(target=one_of, args=(count, n, port, recipe, folder)) for n in range(count)]
    for process in group:
        process.start()
    for process in group:
        process.join()
    assert [process.exitcode for process in group] == [0] * count


def largest(first: list[torch.Tensor], second: list[torch.Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(first, second, strict=True))


def weights(folder: Path) -> list[torch.Tensor]:
    return list(load_model(folder / "run").model.state_dict().values())


def figures(folder: Path) -> list[torch.Tensor]:
    rows = read_rows(folder / "run" / "metrics.jsonl")
    return [torch.tensor([v for k, v in row.items() if k.startswith("development_")]) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True)
    manifest = manifest_of(folder)

    rows = []
    for ccc in (False, True):
        loss = "class weights + CCC" if ccc else "class weights"
        places = {}
        for way, (count, accumulate, fsdp) in WAYS.items():
            places[way] = folder / f"{'ccc' if ccc else 'classes'}-{len(places)}"
            run(count, recipe_of(manifest, ccc=ccc, accumulate=accumulate, fsdp=fsdp), places[way])
        alone, *others = places
        expected = {
            name: torch.load(places[alone] / f"{name}.pt", weights_only=True) for name in ("gradients", "losses")
        }
        for way in others:
            found = {name: torch.load(places[way] / f"{name}.pt", weights_only=True) for name in expected}
            rows.append(
                {
                    "losses": loss,
                    "against one process": way,
                    "loss": max(abs(a - b) for a, b in zip(found["losses"], expected["losses"], strict=True)),
                    "gradient": largest(found["gradients"], expected["gradients"]),
                    "largest gradient": max(float(g.abs().max()) for g in expected["gradients"]),
                    "weights": largest(weights(places[way]), weights(places[alone])),
                    "development figures": largest(figures(places[way]), figures(places[alone])),
                }
            )
            print({name: f"{value:.1e}" if isinstance(value, float) else value for name, value in rows[-1].items()})
    with (folder / "processes.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
