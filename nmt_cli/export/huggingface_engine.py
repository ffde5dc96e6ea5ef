"""Search by `generate` of transformers, with the options of the search in decoding/."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

from nmt_cli.data.batching import pad
from nmt_cli.data.length_batching import batch_by_length
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine, Hypothesis, TokenIds
from nmt_cli.errors import UserError
from nmt_cli.models.contract import Sequences


def beam_options(config: SearchConfig) -> dict[str, Any]:
    """What `generate` is told besides the width of a beam."""
    if config.beam == 1:
        return {"length_penalty": 1.0, "early_stopping": False}
    average = config.length_normalization == "average"
    return {
        "length_penalty": config.length_penalty if average else 0.0,
        "early_stopping": "never",  # continue until no live hypothesis can win
    }


class HuggingFaceEngine(Engine):
    """A MarianMT folder in transformers."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        from transformers import MarianMTModel
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.model: Any = MarianMTModel.from_pretrained(folder, local_files_only=True)
        self.model.to(device).eval()
        self.device = device
        config = self.model.config
        self.pad_id, self.eos_id = config.pad_token_id, config.eos_token_id
        self.max_source_positions = self.max_target_positions = config.max_position_embeddings

    def max_batch_positions(self, config: SearchConfig) -> int:
        """Divided by the beam, which multiplies the rows."""
        return max(1, config.max_positions() // config.beam)

    @torch.inference_mode()
    def search(
        self, sources: list[TokenIds], config: SearchConfig, prefixes: list[TokenIds] | None = None
    ) -> list[list[Hypothesis]]:
        """See `Engine.search`; UserError for sampling and prefixes.

        `generate` has one maximum length per batch, so sentences are batched by their own.
        """
        if config.sampling or prefixes:
            raise UserError("engine huggingface: no search.sampling and no prefixes", hint="use engine torch")
        assert self.max_target_positions is not None
        by_limit = defaultdict(list)
        for sentence, ids in enumerate(sources):
            by_limit[min(config.max_target_length(len(ids)), self.max_target_positions - 1)].append(sentence)
        result: list[list[Hypothesis]] = [[] for _ in sources]
        for max_length, sentences in by_limit.items():
            sizes = [len(sources[sentence]) + 1 for sentence in sentences]
            for batch in batch_by_length(sizes, self.max_batch_positions(config)):
                batch_sentences = [sentences[index] for index in batch]
                generated = self._generate([sources[sentence] for sentence in batch_sentences], max_length, config)
                for sentence, hypotheses in zip(batch_sentences, generated, strict=True):
                    result[sentence] = hypotheses
        return result

    def _generate(self, sources: list[TokenIds], max_length: int, config: SearchConfig) -> list[list[Hypothesis]]:
        """The best hypotheses of each source, of at most `max_length` tokens without the end of sentence."""
        padded = pad([(ids, [self.eos_id]) for ids in sources], self.pad_id)
        ids, lengths, _ = Sequences.from_numpy(*padded, self.device)
        mask = torch.arange(ids.shape[1], device=self.device) < lengths[:, None]
        output = self.model.generate(
            input_ids=ids,
            attention_mask=mask.long(),
            max_length=max_length + 2,  # plus the start token and the end of sentence
            min_new_tokens=config.min_length,
            no_repeat_ngram_size=config.no_repeat_ngram or 0,
            logits_processor=[lambda input_ids, scores: self._force_eos(max_length, input_ids, scores)],
            num_return_sequences=config.n_best,
            return_dict_in_generate=True,
            output_scores=True,
            num_beams=config.beam,
            **beam_options(config),
        )
        options = {} if config.beam == 1 else {"beam_indices": output.beam_indices}
        transition_scores = self.model.compute_transition_scores(
            output.sequences, output.scores, normalize_logits=config.beam == 1, **options
        )
        hypotheses = [
            self._make_hypothesis(token_ids, token_scores, max_length, config)
            for token_ids, token_scores in zip(
                output.sequences[:, 1:].tolist(), transition_scores.tolist(), strict=True
            )
        ]
        n_best = config.n_best
        return [hypotheses[start : start + n_best] for start in range(0, len(hypotheses), n_best)]

    def _force_eos(self, max_length: int, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Logits processor that forces the end of a hypothesis of `max_length`, as the search in decoding/ does."""
        if input_ids.shape[1] <= max_length:
            return scores
        eos_scores = torch.full_like(scores, float("-inf"))
        eos_scores[:, self.eos_id] = scores[:, self.eos_id]
        return eos_scores

    def _make_hypothesis(
        self, token_ids: TokenIds, token_scores: list[float], max_length: int, config: SearchConfig
    ) -> Hypothesis:
        length = token_ids.index(self.eos_id) if self.eos_id in token_ids else len(token_ids)
        log_probability = sum(token_scores[: length + 1])
        return Hypothesis(
            token_ids[: min(length, max_length)], log_probability, config.normalize(log_probability, length + 1)
        )
