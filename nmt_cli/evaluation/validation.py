"""Loss and translations of the development text while a model trains."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import torch

from nmt_cli.data.batching import collate, in_batches_of
from nmt_cli.data.prepared import Split, Tokenizers
from nmt_cli.decoding.blocks import WORTHWHILE, Division
from nmt_cli.decoding.hypothesis import SearchConfig
from nmt_cli.decoding.translator import Translator
from nmt_cli.distributed import ALONE, Processes
from nmt_cli.errors import UserError
from nmt_cli.evaluation.metrics import bleu_tokenizer, score, why_no_tokenizer
from nmt_cli.models.contract import TranslationModel
from nmt_cli.training.feed import to_tensors
from nmt_cli.training.loss import evaluate
from nmt_cli.training.settings import TrainingConfig
from nmt_cli.training.state import Validation


def translate_together(
    translator: Translator, lines: Sequence[str], processes: Processes
) -> list[str]:
    """The translations of all lines, known to every process; each of them translates its share."""
    rank, count = processes.rank, processes.count
    own = [one.text for one in translator.translate(lines[rank::count])]
    texts = [""] * len(lines)
    for other, share in enumerate(processes.gather(own)):
        texts[other::count] = share
    return texts


def translate_like_a_file(
    translator: Translator, lines: Sequence[str], processes: Processes, device: torch.device
) -> list[str]:
    """What `nmt translate` makes of a file with these lines on this machine, to the letter; known
    to every process.

    So they are cut into the same blocks, and where it would have several processes with a thread
    each, each process has one here.
    """
    stream = BytesIO("".join(f"{line}\n" for line in lines).encode())
    threads = torch.get_num_threads()
    on_gpu = device.type == "cuda"
    workers = torch.cuda.device_count() if on_gpu else threads * processes.count
    blocks = list(Division(workers, translator.config.width).blocks(stream))
    if workers > 1 and not on_gpu and stream.getbuffer().nbytes >= WORTHWHILE:
        torch.set_num_threads(1)
    try:
        own = [
            [one.text for one in translator.translate([line.text for line in block])]
            for block in blocks[processes.rank :: processes.count]
        ]
    finally:
        torch.set_num_threads(threads)
    shares = [iter(share) for share in processes.gather(own)]
    in_order = (next(shares[number % processes.count]) for number in range(len(blocks)))
    return [text for block in in_order for text in block]


class Validator:
    """Scores a model on the development text; called by the trainer.

    Processes share the work, and all of them know the result.
    """

    def __init__(
        self,
        model: TranslationModel[Any],
        split: Split,
        tokenizers: Tokenizers,
        config: TrainingConfig,
        search: SearchConfig,
        target_language: str,
        processes: Processes = ALONE,
    ) -> None:
        self.processes = processes
        self.model, self.split, self.config = model, split, config
        self.vocabulary = tokenizers.vocabulary
        quick = search.model_copy(
            update={
                "beam": config.validation_beam,
                "n_best": 1,
                "sampling": False,
                "guard": False,  # what the model does by itself, at the cost of one search
            }
        )
        self.translator = Translator(model, tokenizers, quick, respell=False)
        self.tokenize = config.metric_tokenize or bleu_tokenizer(target_language)
        reason = why_no_tokenizer(self.tokenize)
        if reason is not None:  # now, and not hours later at the first validation
            raise UserError(f"training.metric_tokenize {self.tokenize}: {reason}")

    def __call__(self) -> Validation:
        """Validate with the model's present weights."""
        if self.config.metric == "loss":
            return Validation(self.loss(), {})
        texts = translate_together(self.translator, self.split.sources, self.processes)
        found = score(texts, [self.split.references], ["bleu", "chrf"], tokenize=self.tokenize)
        scores = {one.name: one.score for one in found}
        if self.config.metric == "ter":
            scores["ter"] = score(texts, [self.split.references], ["ter"])[0].score
        return Validation(self.loss(), scores, self._samples(texts))

    def loss(self) -> float:
        """Negative log-likelihood a target token, ends of sentences included, in nats."""
        split, device = self.split, next(self.model.parameters()).device
        lengths = np.maximum(split.source.lengths(), split.target.lengths()) + 1
        total, tokens = 0.0, 0
        groups = list(in_batches_of(lengths.tolist(), self.config.budget))
        for group in groups[self.processes.rank :: self.processes.count]:
            batch = collate(split.source, split.target, np.array(group), self.vocabulary)
            found = evaluate(self.model, *to_tensors(batch, device))
            total += float(found.nll)
            tokens += found.tokens
        sums = torch.tensor([total, tokens], dtype=torch.float64)
        self.processes.sum(sums)
        return float(sums[0] / sums[1])

    def _samples(self, texts: list[str]) -> list[dict[str, str]]:
        """A few sentences, the same at each validation, spread over the text."""
        count = min(self.config.samples, len(texts))
        chosen = [(2 * number + 1) * len(texts) // (2 * count) for number in range(count)]
        return [
            {
                "source": self.split.sources[i],
                "hypothesis": texts[i],
                "reference": self.split.references[i],
            }
            for i in chosen
        ]
