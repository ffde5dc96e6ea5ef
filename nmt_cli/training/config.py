"""The training section of a recipe."""

from typing import Annotated, Literal

from pydantic import Field

from nmt_cli.config import Section
from nmt_cli.device import Precision
from nmt_cli.training.compilation import CompileMode
from nmt_cli.training.metrics import Metric
from nmt_cli.training.optimizer import OptimizerName
from nmt_cli.training.schedule import Schedule


class TrainingConfig(Section):
    """The training section of a recipe."""

    init_from: str | None = None
    """Run folder whose best weights, tokenizers and model section this run starts from
    (fine-tuning); null: start from random weights."""
    updates: int = Field(default=10_000, ge=1)
    """Number of updates to train for."""
    tokens_per_batch: Annotated[int, Field(ge=1)] | Literal["auto"] = 4096
    """Target positions per batch, including padding and end-of-sentence tokens; auto: as many as fit into
    memory, measured once at the start, at most 4096 on a CPU and 32768 on a GPU."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Batches per process whose gradients are summed for one update; the last update of an epoch may have
    fewer."""
    optimizer: OptimizerName = "adam"
    """adam or adamw."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate; with schedule noam, the factor of d_model^-0.5."""
    schedule: Schedule = "inverse_sqrt"
    """Learning rate after the warm-up."""
    warmup_updates: int = Field(default=400, ge=0)
    """Updates over which the learning rate rises linearly to its peak."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Adam's decay of the mean of gradients."""
    beta2: float = Field(default=0.98, ge=0, lt=1)
    """Adam's decay of the mean of squared gradients."""
    epsilon: float = Field(default=1e-9, gt=0)
    """Adam's epsilon, added to the square root of the mean of squared gradients."""
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    """Weight decay of matrices, best with adamw."""
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Probability mass taken from each target token and spread over the vocabulary."""
    clip_norm: float | None = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm; null: no clipping."""
    precision: Precision = "auto"
    """Type of computations; auto: bf16 if the machine is faster with it. Weights are always kept in
    float32."""
    compile: CompileMode = "auto"
    """Compile the layers of Transformers with torch.compile; auto: on a GPU. Needs a C compiler and some
    time at the start."""
    seed: int = Field(default=1, ge=0, lt=1 << 63)
    """Seed of initial weights, order of batches and dropout."""
    validate_every: int = Field(default=500, ge=1)
    """Updates between validations; each writes a checkpoint."""
    metric: Metric = "bleu"
    """Metric on the development text by which the best checkpoint is chosen."""
    metric_tokenize: str | None = None
    """sacreBLEU tokenizer for BLEU; null: by the target language (zh for Chinese, char
    for Japanese, Korean and others without spaces, else 13a)."""
    validation_beam: int = Field(default=1, ge=1)
    """Beam size of the translations that are scored during training."""
    patience: int | None = Field(default=None, ge=1)
    """Stop after this many validations in a row without improvement; null: never."""
    plateau_factor: float = Field(default=0.5, gt=0, lt=1)
    """With schedule plateau: factor of the learning rate after plateau_patience validations."""
    plateau_patience: int = Field(default=2, ge=1)
    """With schedule plateau: validations in a row without improvement before the learning rate is lowered."""
    average_checkpoints: int = Field(default=1, ge=1)
    """Number of last checkpoints whose mean is validated and kept as best."""
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, which is validated and kept as best."""
    log_every: int = Field(default=50, ge=1)
    """Updates between log lines."""
    samples: int = Field(default=2, ge=0)
    """Sample translations of the development text after each validation."""
    tensorboard: bool = False
    """Also write TensorBoard events into the run folder (extra nmt-cli[tensorboard])."""
    max_minutes: float | None = Field(default=None, gt=0)
    """Stop after this time; such a run depends on the speed of the machine, which is logged."""
    timeout_minutes: float = Field(default=30.0, gt=0)
    """With several processes: if one takes longer for an update or a validation, all print their stacks
    and stop."""

    @property
    def max_positions(self) -> int:
        """tokens_per_batch as a number."""
        assert self.tokens_per_batch != "auto", "resolved before training begins"
        return self.tokens_per_batch

    @property
    def keep_last_checkpoints(self) -> int:
        """Regular checkpoints to keep: those to average, and at least one before the last."""
        return max(2, self.average_checkpoints)

    def errors(self) -> list[str]:
        """Options that do not fit together, or that sacreBLEU does not know."""
        errors = []
        if self.average_checkpoints > 1 and self.ema_decay is not None:
            errors.append("average_checkpoints and ema_decay: use one of them")
        if self.metric_tokenize is not None:
            from sacrebleu.metrics.bleu import BLEU

            if self.metric_tokenize not in BLEU.TOKENIZERS:
                names = ", ".join(sorted(BLEU.TOKENIZERS))
                errors.append(f"metric_tokenize: no tokenizer of sacreBLEU; use one of {names}")
        return errors

    def warnings(self) -> list[str]:
        """Keys that have no effect, or hardly the intended one."""
        messages = []
        if self.schedule != "plateau":
            keys = self.non_default("plateau_factor", "plateau_patience")
            messages += [f"{key}: does nothing without schedule: plateau" for key in keys]
        if self.metric == "loss":
            keys = self.non_default("metric_tokenize", "validation_beam", "samples")
            messages += [f"{key}: does nothing with metric: loss" for key in keys]
        if self.warmup_updates >= self.updates:
            messages.append(f"warmup_updates: {self.warmup_updates}, but there are only {self.updates} updates")
        if self.validate_every > self.updates:
            messages.append(f"validate_every: {self.validate_every} is more than {self.updates} updates")
        validations = -(-self.updates // self.validate_every)
        if self.average_checkpoints > validations:
            messages.append(f"average_checkpoints: {self.average_checkpoints}, but there are {validations} checkpoints")
        if self.patience is not None and self.patience >= validations:
            messages.append(f"patience: {self.patience}, but there are {validations} validations")
        return messages
