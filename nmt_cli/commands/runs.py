"""Opening a run folder: its recipe, its tokenizers and its model, ready to translate."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import torch

from nmt_cli.checkpoint import FORMAT, Tensors
from nmt_cli.data.prepared import Tokenizers
from nmt_cli.device import Precision, choose_precision
from nmt_cli.disk import read_json, refuse_ways_out
from nmt_cli.errors import DeviceError, RunError
from nmt_cli.models import MODELS
from nmt_cli.models.contract import TranslationModel
from nmt_cli.models.quantized import quantize
from nmt_cli.recipe import Recipe, load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.run_folder import RunFolder
from nmt_cli.vocabulary import Vocabulary

Model = TranslationModel[Any]


@dataclass(frozen=True)
class Run:
    """A run that can translate."""

    folder: RunFolder
    recipe: Recipe
    tokenizers: Tokenizers
    model: Model
    update: int


def open_run(
    path: Path,
    device: torch.device,
    precision: Precision | Literal["int8"],
    settings: tuple[str, ...] = (),
) -> Run:
    """Load a run's best weights; RunError says what is missing or does not fit.

    Where they are damaged, the newest whole checkpoint is used, with a warning.
    """
    if precision == "int8" and device.type != "cpu":
        raise DeviceError("search.precision: int8 runs on a CPU; use auto here, or --device cpu")
    folder = RunFolder(path)
    if not path.is_dir():
        raise RunError(f"{path}: no such run folder; nmt train RECIPE makes one")
    if not folder.recipe.is_file():
        raise RunError(f"{path}: not a run folder: it has no recipe.yaml")
    refuse_ways_out(path)
    recipe = load_recipe(folder.recipe, settings)
    check_manifest(path)
    tokenizers = Tokenizers.load(path)
    checkpoint = folder.best()
    for line in checkpoint.notes:
        Reporter().warn(line)
    model = build_model(recipe, tokenizers.vocabulary)
    adopt(model, checkpoint.tensors(), path, device, precision)
    return Run(folder, recipe, tokenizers, model, checkpoint.update)


def tokenizer_hashes(path: Path) -> dict[str, str]:
    """SHA-256 of each tokenizer file of a run, by name."""
    files = sorted(path.glob("tokenizer*.json"))
    return {file.name: sha256(file.read_bytes()).hexdigest() for file in files}


def check_manifest(path: Path) -> None:
    """RunError where a run was written by a newer version, or its tokenizer is that of another.

    Another tokenizer of the same size would translate, into nonsense.
    """
    manifest = read_json(path / "manifest.json")
    number = manifest.get("format", FORMAT)
    if number != FORMAT:
        raise RunError(f"{path}: a run of format {number}; this version reads {FORMAT}")
    noted = manifest.get("tokenizers")
    if noted is not None and noted != tokenizer_hashes(path):
        raise RunError(f"{path}: its tokenizer is not the one that it was trained with")


def build_model(recipe: Recipe, vocabulary: Vocabulary) -> Model:
    """A new model as the recipe describes it, initialised by training.seed."""
    torch.manual_seed(recipe.training.seed)
    model: Model = MODELS[recipe.model.type](recipe.model, vocabulary)
    return model


def adopt(
    model: Model,
    tensors: Tensors,
    source: Path,
    device: torch.device,
    precision: Precision | Literal["int8"],
) -> None:
    """Let the model translate with these weights, in this precision."""
    dtype = torch.float32 if precision == "int8" else choose_precision(precision, device)
    model.to(device=device, dtype=dtype).eval()
    load_weights(model, tensors, source)
    if precision == "int8":
        quantize(model)


def load_weights(model: Model, tensors: Tensors, source: Path) -> None:
    """Copy tensors into the model; RunError where names or shapes differ."""
    check_weights(model, tensors, source)
    for name, parameter in model.named_parameters():
        parameter.data.copy_(tensors[name])


def check_weights(model: Model, tensors: Tensors, source: Path) -> None:
    """RunError where names or shapes differ from the model's."""
    parameters = dict(model.named_parameters())
    if set(parameters) != set(tensors):
        odd = sorted(set(parameters) ^ set(tensors))
        raise RunError(f"{source}: the weights do not fit the recipe: {odd[0]}")
    for name, parameter in parameters.items():
        if parameter.shape != tensors[name].shape:
            raise RunError(
                f"{source}: the weights do not fit the recipe or tokenizer: {name} is "
                f"{list(tensors[name].shape)}, not {list(parameter.shape)}"
            )
