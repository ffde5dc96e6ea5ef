"""Search by the `generate` of transformers, with the settings of our own search."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

from nmt_cli.data.batching import in_batches_of, pad
from nmt_cli.decoding.engine import Engine, Ids
from nmt_cli.decoding.hypothesis import Hypothesis, SearchConfig
from nmt_cli.errors import UserError


class HuggingFaceEngine(Engine):
    """A MarianMT folder, opened by transformers."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        from transformers import MarianMTModel
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.model: Any = MarianMTModel.from_pretrained(folder, local_files_only=True)
        self.model.to(device).eval()
        self.device = device
        config = self.model.config
        self.pad, self.end = config.pad_token_id, config.eos_token_id
        self.longest_source = self.longest_target = config.max_position_embeddings

    def positions(self, config: SearchConfig) -> int:
        """One batch for each greatest length; see `search`."""
        return max(1, config.budget() // config.beam)

    @torch.inference_mode()
    def search(
        self, sources: list[Ids], config: SearchConfig, prefixes: list[Ids] | None = None
    ) -> list[list[Hypothesis]]:
        """See `Engine.search`; UserError for sampling and prefixes.

        A batch has one greatest length there, so sentences are batched by their own.
        """
        if config.sampling or prefixes:
            raise UserError(
                "--engine huggingface: search.sampling and --prefix need --engine torch"
            )
        assert self.longest_target is not None
        by_limit = defaultdict(list)
        for number, ids in enumerate(sources):
            by_limit[min(config.longest(len(ids)), self.longest_target - 1)].append(number)
        result: list[list[Hypothesis]] = [[] for _ in sources]
        for limit, numbers in by_limit.items():
            sizes = [len(sources[number]) + 1 for number in numbers]
            for group in in_batches_of(sizes, self.positions(config)):
                chosen = [numbers[index] for index in group]
                found = self._generate([sources[number] for number in chosen], limit, config)
                for number, hypotheses in zip(chosen, found, strict=True):
                    result[number] = hypotheses
        return result

    def _generate(
        self, sources: list[Ids], limit: int, config: SearchConfig
    ) -> list[list[Hypothesis]]:
        """Hypotheses of at most `limit` tokens, end of sentence not counted."""
        padded = pad([(ids, [self.end]) for ids in sources], self.pad)
        ids, lengths = (torch.from_numpy(x).to(self.device) for x in padded)
        mask = torch.arange(ids.shape[1], device=self.device) < lengths[:, None]
        found = self.model.generate(
            input_ids=ids,
            attention_mask=mask.long(),
            max_length=limit + 2,  # the first token and the end of sentence
            min_new_tokens=config.min_length,
            no_repeat_ngram_size=config.no_repeat_ngram or 0,
            logits_processor=[lambda past, scores: self._end_at(limit, past, scores)],
            num_return_sequences=config.n_best,
            return_dict_in_generate=True,
            output_scores=True,
            **self._beam(config),
        )
        options = {} if config.beam == 1 else {"beam_indices": found.beam_indices}
        steps = self.model.compute_transition_scores(
            found.sequences, found.scores, normalize_logits=config.beam == 1, **options
        )
        hypotheses = [
            self._hypothesis(row, values, limit, config)
            for row, values in zip(found.sequences[:, 1:].tolist(), steps.tolist(), strict=True)
        ]
        size = config.n_best
        return [hypotheses[first : first + size] for first in range(0, len(hypotheses), size)]

    def _end_at(self, limit: int, past: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """End a hypothesis of the greatest length by force and count what that costs, as we do."""
        if past.shape[1] <= limit:
            return scores
        ending = torch.full_like(scores, float("-inf"))
        ending[:, self.end] = scores[:, self.end]
        return ending

    def _beam(self, config: SearchConfig) -> dict[str, Any]:
        if config.beam == 1:
            return {"num_beams": 1, "early_stopping": False, "length_penalty": 1.0}
        average = config.length_normalization == "average"
        return {
            "num_beams": config.beam,
            "length_penalty": config.length_penalty if average else 0.0,
            "early_stopping": "never",
        }

    def _hypothesis(
        self, row: Ids, values: list[float], limit: int, config: SearchConfig
    ) -> Hypothesis:
        size = row.index(self.end) if self.end in row else len(row)
        total = sum(values[: size + 1])
        return Hypothesis(row[: min(size, limit)], total, config.normalize(total, size + 1))
