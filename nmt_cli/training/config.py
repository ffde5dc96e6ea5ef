"""The training section of a recipe. Imports no torch."""

from typing import Annotated, Literal

from pydantic import Field

from nmt_cli.config import Precision, Section
from nmt_cli.data.augmentation import AugmentConfig
from nmt_cli.errors import pluralize

CompileMode = Literal["auto", "on", "off"]
Metric = Literal["bleu", "chrf", "ter", "loss"]
OptimizerName = Literal["adam", "adamw"]
Schedule = Literal["constant", "inverse_sqrt", "noam", "cosine", "linear", "plateau"]


class TrainingConfig(Section):
    """The training section of a recipe."""

    init_from: str | None = None
    """Fine-tuning: the run folder whose best weights, tokenizers and model section this run starts
    from; null: random weights."""
    augment: AugmentConfig | None = None
    """Change some training pairs into what people type, when data are prepared; {}: a little of everything; null:
    nothing. Shares of the pairs: `upper` in capitals; `title` with a capital on every word of the source (and of an
    English target); `no_stop` without final punctuation; `typos` in a tenth of the source's words; `spaces` doubled in
    the source (undone by corpus.normalization.whitespace); `join` with the next one or two pairs. `copies` of the text,
    each changed differently, are prepared and trained on in turn, one per epoch."""
    updates: int = Field(default=10_000, ge=1)
    """Number of updates to train for."""
    tokens_per_batch: Annotated[int, Field(ge=1)] | Literal["auto"] = 4096
    """Target positions per batch, including padding and ends of sentences; auto: as many as fit into
    memory, measured once at the start, at most 4096 on a CPU and 32768 on a GPU."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Batches per update and process, whose gradients are summed. The last update of an epoch has the
    remaining ones."""
    optimizer: OptimizerName = "adam"
    """adam or adamw."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate; with schedule noam, the factor of d_model^-0.5."""
    schedule: Schedule = "inverse_sqrt"
    """How the learning rate changes after the warm-up."""
    warmup_updates: int = Field(default=400, ge=0)
    """Updates over which the learning rate rises linearly to its peak."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of Adam's first moment, the mean of gradients."""
    beta2: float = Field(default=0.98, ge=0, lt=1)
    """Decay of Adam's second moment, the mean of squared gradients."""
    epsilon: float = Field(default=1e-9, gt=0)
    """Added to the denominator of Adam's step."""
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    """Weight decay of matrices; intended for adamw, which decays weights apart from the gradient, as fairseq's adam
    does, too. With adam it is an L2 penalty, part of the gradient."""
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Probability that is taken from each target token and spread over the vocabulary."""
    clip_norm: float | None = Field(default=1.0, gt=0)
    """Maximum norm of the gradient; null: no clipping."""
    precision: Precision = "auto"
    """Type to compute in: auto is bf16 if the machine is faster with it, else fp32; a resumed run keeps what was
    measured at its start. Master weights are always float32."""
    compile: CompileMode = "auto"
    """Compile the layers of Transformers with torch.compile: auto means on a GPU only. It needs a C
    compiler and some time at the start."""
    seed: int = Field(default=1, ge=0, lt=1 << 63)
    """Seed of initial weights, the order of batches and dropout."""
    validate_every: int = Field(default=500, ge=1)
    """Updates between validations; each writes a checkpoint."""
    metric: Metric = "bleu"
    """Score on the development text that decides which checkpoint is best; equal scores are decided by the loss."""
    metric_tokenize: str | None = None
    """sacreBLEU tokenizer for BLEU; null: depends on the target language (zh for Chinese, char for
    Japanese, Korean and other languages without spaces, else 13a)."""
    validation_beam: int = Field(default=1, ge=1)
    """Beam size of the translations that are scored during training."""
    patience: int | None = Field(default=None, ge=1)
    """Stop once this many validations in a row, after the warm-up, have brought neither the best score nor the best
    loss so far; null: never."""
    plateau_factor: float = Field(default=0.5, gt=0, lt=1)
    """Schedule plateau: what the learning rate is multiplied by after plateau_patience validations."""
    plateau_patience: int = Field(default=2, ge=1)
    """Schedule plateau: the learning rate is lowered after this many validations in a row without the best score or
    loss."""
    average_checkpoints: int = Field(default=1, ge=1)
    """Validate the mean of this many last checkpoints instead of the last one, and keep the best of these means."""
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    """Validate an exponential moving average of the weights, with this decay, instead of the weights, and keep the best
    one."""
    log_every: int = Field(default=50, ge=1)
    """Updates between lines of the log, in which the first update has a line of its own."""
    samples: int = Field(default=2, ge=0)
    """Translations of the development text to show after each validation."""
    tensorboard: bool = False
    """Also write TensorBoard events into the run folder (extra nmt-cli[tensorboard])."""
    export: bool = True
    """Export the best weights for CTranslate2 at the end, in the type that suits them, so that the first translation
    does not have to; skipped if CTranslate2 cannot run the model."""
    max_minutes: float | None = Field(default=None, gt=0)
    """Time limit. A run that reaches it says so: its result depends on the speed of the machine."""
    timeout_minutes: float = Field(default=30.0, gt=0)
    """With several processes: a process that needs longer for an update or a validation counts as stuck; then all print
    their stacks and end."""

    @property
    def max_positions(self) -> int:
        """tokens_per_batch as a number."""
        assert self.tokens_per_batch != "auto", "resolved before training begins"
        return self.tokens_per_batch

    @property
    def keep_last_checkpoints(self) -> int:
        """Number of regular checkpoints to keep: those to average, and at least one besides the last."""
        return max(2, self.average_checkpoints)

    def errors(self) -> list[str]:
        """Options that exclude each other, or that sacreBLEU does not have."""
        errors = []
        if self.average_checkpoints > 1 and self.ema_decay is not None:
            errors.append("average_checkpoints and ema_decay: use one of them")
        if self.augment is not None:
            errors += [f"augment.{message}" for message in self.augment.errors()]
        if self.metric_tokenize is not None:
            from sacrebleu.metrics.bleu import BLEU

            if self.metric_tokenize not in BLEU.TOKENIZERS:
                names = ", ".join(sorted(BLEU.TOKENIZERS))
                errors.append(f"metric_tokenize: no tokenizer of sacreBLEU; use one of {names}")
        return errors

    def warnings(self) -> list[str]:
        """Options that have no effect or are unlikely to be meant."""
        messages = []
        if self.schedule != "plateau":
            keys = self.non_default("plateau_factor", "plateau_patience")
            messages += [f"{key}: does nothing without schedule: plateau" for key in keys]
        elif self.patience is not None and self.plateau_patience >= self.patience:
            messages.append(f"plateau_patience: {self.plateau_patience}, but patience: {self.patience} ends the run")
        if self.metric == "loss":
            keys = self.non_default("metric_tokenize", "validation_beam", "samples")
            messages += [f"{key}: does nothing with metric: loss" for key in keys]
        if self.warmup_updates >= self.updates:
            messages.append(f"warmup_updates: {self.warmup_updates:,}, with only {pluralize(self.updates, 'update')}")
        if self.validate_every > self.updates:
            messages.append(f"validate_every: {self.validate_every:,} is more than {pluralize(self.updates, 'update')}")
        validations = -(-self.updates // self.validate_every)
        if self.average_checkpoints > validations:
            messages.append(
                f"average_checkpoints: {self.average_checkpoints}, with only {pluralize(validations, 'checkpoint')}"
            )
        if self.patience is not None and self.patience >= validations:
            messages.append(f"patience: {self.patience}, with only {pluralize(validations, 'validation')}")
        return messages
