"""Loss and scores of the development text during training."""

import math
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Literal

import numpy as np
import torch

from nmt_cli.data.batching import collate
from nmt_cli.data.length_batching import batch_by_length
from nmt_cli.data.prepared.store import SequenceStore, Split
from nmt_cli.data.text_profile import TextProfile, rarely_exceeded
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.distributed.process_group import ProcessGroup
from nmt_cli.errors import UserError
from nmt_cli.evaluation.metrics import MetricName, corpus_scores, default_bleu_tokenizer, tokenizer_error
from nmt_cli.inference.lines import MIN_PARALLEL_INPUT_BYTES, BlockPartitioner, BlockReader
from nmt_cli.inference.translator import Translator
from nmt_cli.models.contract import TranslationModel
from nmt_cli.training.batches import to_device
from nmt_cli.training.config import TrainingConfig
from nmt_cli.training.loss import evaluate_nll, evaluated_tokens
from nmt_cli.training.metrics import ValidationResult

MAX_BASELINE_TOKENS = 1 << 22  # training tokens whose frequencies are counted


def translate_distributed(
    translator: Translator, lines: Sequence[str], processes: ProcessGroup
) -> list[tuple[str, float | None]]:
    """Translate lines with all processes, each of which translates its share and returns all translations: the text
    and its probability per token."""
    rank, world_size = processes.rank, processes.world_size
    own_lines = [
        (translation.text, translation.token_probability)
        for translation in translator.translate(lines[rank::world_size])
    ]
    translations: list[tuple[str, float | None]] = [("", None)] * len(lines)
    for other_rank, rank_lines in enumerate(processes.all_gather(own_lines)):
        translations[other_rank::world_size] = [(text, probability) for text, probability in rank_lines]
    return translations


def translate_as_cli(
    translator: Translator, lines: Sequence[str], processes: ProcessGroup, device: torch.device
) -> list[str]:
    """Translate lines with all processes exactly as `nmt translate` would on this machine; every process returns all.

    The lines are divided into the same blocks, and each process uses one thread if `nmt translate` would use
    several single-threaded processes.
    """
    stream = BytesIO("".join(f"{line}\n" for line in lines).encode())
    threads = torch.get_num_threads()
    on_gpu = device.type == "cuda"
    workers = torch.cuda.device_count() if on_gpu else threads * processes.world_size
    blocks = list(BlockReader(stream, BlockPartitioner(workers, translator.config.beam_size)))
    if workers > 1 and not on_gpu and stream.getbuffer().nbytes >= MIN_PARALLEL_INPUT_BYTES:
        torch.set_num_threads(1)
    try:
        own_blocks = [
            [translation.text for translation in translator.translate(block.texts)]
            for block in blocks[processes.rank :: processes.world_size]
        ]
    finally:
        torch.set_num_threads(threads)
    rank_iterators = [iter(rank_blocks) for rank_blocks in processes.all_gather(own_blocks)]
    ordered_blocks = (next(rank_iterators[index % processes.world_size]) for index in range(len(blocks)))
    return [text for block in ordered_blocks for text in block]


def unigram_loss(training: SequenceStore, development: SequenceStore, vocab_size: int) -> float:
    """Loss per development token, in nats, of a model that knows only how frequent each token is in the training text.

    Ends of sentences are tokens, too; every token counts once more than it occurs.
    """
    sample = np.asarray(training.ids[: min(int(training.offsets[-1]), MAX_BASELINE_TOKENS)])
    sentences = max(1, round(len(training) * len(sample) / max(1, int(training.offsets[-1]))))
    counts = np.append(np.bincount(sample, minlength=vocab_size) + 1, sentences)  # the last: ends of sentences
    log_probabilities = np.log(counts / counts.sum())
    ids = np.asarray(development.ids[: int(development.offsets[-1])])
    total = log_probabilities[ids].sum() + len(development) * log_probabilities[-1]
    return -float(total) / (len(ids) + len(development))


def validation_tokens_per_batch(model: TranslationModel[Any], search: SearchConfig) -> int | Literal["auto"]:
    """On a CPU half of what `auto` is for `nmt translate`: training takes memory, too."""
    if search.tokens_per_batch != "auto" or model.device.type != "cpu":
        return search.tokens_per_batch
    return search.max_positions("cpu", model.kv_cache_per_token) // 2


class Validator:
    """Scores a model on the development text; all processes share the work and return the same result."""

    def __init__(
        self,
        model: TranslationModel[Any],
        split: Split,
        tokenizers: Tokenizers,
        config: TrainingConfig,
        search: SearchConfig,
        profile: TextProfile,
        processes: ProcessGroup,
        baseline_loss: float,
        perplexity_unit: str | None,
    ) -> None:
        self.perplexity_unit = perplexity_unit
        self.processes, self.baseline_loss = processes, baseline_loss
        self.model, self.split, self.config = model, split, config
        self.vocabulary = tokenizers.vocabulary
        validation_search = search.model_copy(
            update={
                "beam": config.validation_beam,
                "n_best": 1,
                "tokens_per_batch": validation_tokens_per_batch(model, search),
                "sampling": False,
                "repair_degenerate": False,  # score the model alone, with one search per sentence
            }
        )
        self.translator = Translator(
            TorchEngine(model), tokenizers, validation_search, profile, rescore_canonical=False
        )
        self.tokenize = config.metric_tokenize or default_bleu_tokenizer(profile.target_language or "")
        reason = tokenizer_error(self.tokenize)
        if reason is not None:  # before the first validation, which may be hours away
            raise UserError(f"training.metric_tokenize {self.tokenize}: {reason}")

    def __call__(self) -> ValidationResult:
        """Validate the model with its current weights."""
        if self.config.metric == "loss":
            return ValidationResult(
                self.loss(), {}, baseline_loss=self.baseline_loss, perplexity_unit=self.perplexity_unit
            )
        translations = translate_distributed(self.translator, self.split.sources, self.processes)
        texts = [text for text, _ in translations]
        improbability = [-probability for _, probability in translations if probability is not None]
        probability = -rarely_exceeded(improbability) if improbability else None
        metrics: list[MetricName] = ["bleu", "chrf", "ter"] if self.config.metric == "ter" else ["bleu", "chrf"]
        results = corpus_scores(texts, [self.split.references], metrics, tokenize=self.tokenize)
        scores = {result.name: result.score for result in results}
        has_one_output = len(set(texts)) == 1 and len(set(self.split.sources)) > 1
        return ValidationResult(
            self.loss(),
            scores,
            self._sample_translations(texts),
            texts[0] if has_one_output else None,
            self.baseline_loss,
            probability,
            self.perplexity_unit,
        )

    def loss(self) -> float:
        """Negative log-likelihood per target token in nats, ends of sentences included.

        Targets that a CTC model cannot emit are left out; infinite if there are no others.
        """
        split, device = self.split, self.model.device
        lengths = np.maximum(split.source_ids.lengths(), split.target_ids.lengths()) + 1
        nll, tokens = 0.0, 0
        index_batches = list(batch_by_length(lengths.tolist(), self.config.max_positions))
        for indices in index_batches[self.processes.rank :: self.processes.world_size]:
            batch = to_device(collate(split.source_ids, split.target_ids, np.array(indices), self.vocabulary), device)
            nll += float(evaluate_nll(self.model, *batch))
            tokens += evaluated_tokens(self.model, batch.source, batch.target_out)
        sums = torch.tensor([nll, tokens], dtype=torch.float64)
        self.processes.all_reduce(sums)
        return float(sums[0] / sums[1]) if sums[1] else math.inf

    def _sample_translations(self, texts: list[str]) -> list[dict[str, str]]:
        """A few sentences spread over the text, the same at each validation."""
        count = min(self.config.samples, len(texts))
        indices = [(2 * k + 1) * len(texts) // (2 * count) for k in range(count)]
        return [
            {"source": self.split.sources[i], "hypothesis": texts[i], "reference": self.split.references[i]}
            for i in indices
        ]
