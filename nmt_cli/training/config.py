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
    """Run folder whose best weights, tokenizers and model section this run begins with
    (fine-tuning); null: begin with random weights."""
    updates: int = Field(default=10_000, ge=1)
    """Updates of the weights after which training is done."""
    tokens_per_batch: Annotated[int, Field(ge=1)] | Literal["auto"] = 4096
    """Target positions a batch, padding and ends of sentences included; auto: as many as the memory
    takes, measured once at the start, at most 4096 on a CPU and 32768 on a GPU."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Batches whose gradients a process sums for one update: of N processes, N times as many. The
    last update of an epoch has what is left."""
    optimizer: OptimizerName = "adam"
    """adam or adamw."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Highest rate; for schedule noam the factor before d_model^-0.5."""
    schedule: Schedule = "inverse_sqrt"
    """How the rate goes on after the warm-up."""
    warmup_updates: int = Field(default=400, ge=0)
    """Updates over which the rate rises linearly to its highest."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of Adam's mean of gradients."""
    beta2: float = Field(default=0.98, ge=0, lt=1)
    """Decay of Adam's mean of squared gradients."""
    epsilon: float = Field(default=1e-9, gt=0)
    """Added to the square root in Adam."""
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    """Decay of matrices, at its best with adamw."""
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Share of each target's probability that is spread over the vocabulary."""
    clip_norm: float | None = Field(default=1.0, gt=0)
    """Longest gradient; null: as long as it is."""
    precision: Precision = "auto"
    """Type computed in: auto is bf16 where the machine is faster with it; weights are always kept
    in float32."""
    compile: CompileMode = "auto"
    """Compile the layers of Transformers with torch.compile: auto is on a GPU; needs a C compiler
    and some time at the start."""
    seed: int = Field(default=1, ge=0, lt=1 << 63)
    """Decides initial weights, order of batches and dropout."""
    validate_every: int = Field(default=500, ge=1)
    """Updates between validations; each writes a checkpoint."""
    metric: Metric = "bleu"
    """What the best checkpoint is best at, on the development text."""
    metric_tokenize: str | None = None
    """sacreBLEU tokenizer for BLEU; null: by the target language (zh for Chinese, char
    for Japanese, Korean and others without spaces, else 13a)."""
    validation_beam: int = Field(default=1, ge=1)
    """Beam of the translations that are scored while training."""
    patience: int | None = Field(default=None, ge=1)
    """Stop after so many validations in a row without a better one; null: never."""
    plateau_factor: float = Field(default=0.5, gt=0, lt=1)
    """Schedule plateau: the rate is multiplied with this ..."""
    plateau_patience: int = Field(default=2, ge=1)
    """... after so many validations in a row without a better one."""
    average_checkpoints: int = Field(default=1, ge=1)
    """Validate and keep as best the mean of the last so many checkpoints."""
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    """Validate and keep as best an exponential moving average of the weights with this decay."""
    log_every: int = Field(default=50, ge=1)
    """Updates between lines of the log."""
    samples: int = Field(default=2, ge=0)
    """Translations of the development text shown after each validation."""
    tensorboard: bool = False
    """Also write TensorBoard events into the run folder (extra nmt-cli[tensorboard])."""
    max_minutes: float | None = Field(default=None, gt=0)
    """Safety stop; a run that reaches it depends on the speed of the machine, and says so."""
    timeout_minutes: float = Field(default=30.0, gt=0)
    """Of several processes: one that needs longer for an update or a validation is stuck; all end
    and print where they stand."""

    @property
    def max_positions(self) -> int:
        """tokens_per_batch as a number."""
        assert self.tokens_per_batch != "auto", "resolved before training begins"
        return self.tokens_per_batch

    @property
    def keep_last_checkpoints(self) -> int:
        """How many regular checkpoints stay: to average, and to have one before the last."""
        return max(2, self.average_checkpoints)

    def errors(self) -> list[str]:
        """Options that do not fit together."""
        if self.average_checkpoints > 1 and self.ema_decay is not None:
            return ["average_checkpoints and ema_decay: use one of them"]
        return []

    def warnings(self) -> list[str]:
        """See `Section.doubts`."""
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
