"""Opening a run: its recipe, tokenizers and model, ready to translate."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from nmt_cli.config import Precision
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.device import choose_dtype
from nmt_cli.errors import DeviceError, RunError
from nmt_cli.fs import reject_external_symlinks
from nmt_cli.models import MODELS
from nmt_cli.models.contract import TranslationModel
from nmt_cli.models.quantized import quantize
from nmt_cli.recipe.loader import Recipe, load_run_recipe
from nmt_cli.recipe.paths import run_recipe_path
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import MIXED_FILES_HINT, RunFolder, check_manifest
from nmt_cli.training.checkpoints import NamedTensors
from nmt_cli.vocabulary import Vocabulary

Model = TranslationModel[Any]


@dataclass(frozen=True)
class LoadedRun:
    """An opened run, with its best weights in the model."""

    folder: RunFolder
    recipe: Recipe
    tokenizers: Tokenizers
    model: Model
    update: int


def open_run(path: Path, device: torch.device, precision: Precision | Literal["int8"]) -> LoadedRun:
    """Open a run with its best weights; RunError if something is missing or does not fit.

    If they are damaged, the newest intact checkpoint is used, with a warning.
    """
    if precision == "int8" and device.type != "cpu":
        raise DeviceError("search.precision: int8 runs on a CPU; use auto here, or --device cpu")
    folder = RunFolder(path)
    recipe_path = run_recipe_path(path)
    reject_external_symlinks(path)
    recipe = load_run_recipe(recipe_path, checked_sections=("model", "search"))
    check_manifest(path)
    tokenizers = Tokenizers.load(path)
    checkpoint, tensors = folder.checkpoints.load_best()
    for note in checkpoint.warnings:
        Reporter().warning(note)
    model = build_model(recipe, tokenizers.vocabulary)
    load_for_inference(model, tensors, path, device, precision)
    return LoadedRun(folder, recipe, tokenizers, model, checkpoint.update)


def build_model(recipe: Recipe, vocabulary: Vocabulary) -> Model:
    """A new model as the recipe describes it, with weights initialised from training.seed."""
    torch.manual_seed(recipe.training.seed)
    model: Model = MODELS[recipe.model.type](recipe.model, vocabulary)
    return model


def load_for_inference(
    model: Model, tensors: NamedTensors, source: Path, device: torch.device, precision: Precision | Literal["int8"]
) -> None:
    """Load weights into the model and prepare it for translating in this precision; its gradients are freed."""
    model.zero_grad(set_to_none=True)
    dtype = torch.float32 if precision == "int8" else choose_dtype(precision, device)
    model.to(device=device, dtype=dtype).eval()
    check_weights(model, tensors, source)
    for name, parameter in model.named_parameters():
        parameter.data.copy_(tensors[name])
    if precision == "int8":
        quantize(model)


def check_weights(model: Model, tensors: NamedTensors, source: Path) -> None:
    """RunError if names or shapes differ from the model's."""
    parameters = dict(model.named_parameters())
    if set(parameters) != set(tensors):
        mismatched_names = sorted(set(parameters) ^ set(tensors))
        raise RunError(f"{source}: the weights do not fit the recipe: {mismatched_names[0]}", hint=MIXED_FILES_HINT)
    for name, parameter in parameters.items():
        if parameter.shape != tensors[name].shape:
            raise RunError(
                f"{source}: the weights do not fit the recipe or tokenizer: {name} is "
                f"{list(tensors[name].shape)}, not {list(parameter.shape)}",
                hint=MIXED_FILES_HINT,
            )
