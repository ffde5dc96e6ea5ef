"""What a model computed for one sentence: probabilities, alternatives, attention, and the hypotheses of its beam.

Legend: S source and T target tokens, ends of sentence included, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor

from nmt_cli.decoding.beam import BeamSearch
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import BeamNode, BeamTrace, TokenIds, TokenInspection
from nmt_cli.decoding.host import Array, batch_with_end, batch_with_start, to_host
from nmt_cli.decoding.word_alignment import attention_weights
from nmt_cli.models.contract import Autoregressive, TranslationModel


@torch.inference_mode()
def inspect_tokens(
    model: TranslationModel[Any], source_ids: TokenIds, target_ids: TokenIds, alternatives: int
) -> TokenInspection | None:
    """What the model assigns to each token of a translation, from one teacher-forced pass.

    None for a model that emits all positions at once.
    """
    if not isinstance(model, Autoregressive):
        return None
    source, target_in = batch_with_end(model, [source_ids]), batch_with_start(model, [target_ids])
    logits = model.output_logits(model(source, target_in))[0]  # [T, V]
    log_probs = logits.float().log_softmax(-1)
    target_out = torch.tensor([*target_ids, model.vocabulary.end], device=log_probs.device)
    best_log_probs, best_ids = log_probs.topk(min(alternatives, log_probs.shape[1]))
    attention = attention_weights(model, [source_ids], [target_ids])
    self_attention = model.self_attention(source, target_in)
    return TokenInspection(
        log_probs.gather(1, target_out[:, None])[:, 0].tolist(),
        [
            list(zip(ids, values, strict=True))
            for ids, values in zip(best_ids.tolist(), best_log_probs.tolist(), strict=True)
        ],
        None if attention is None else attention[0],
        _of_sentence(self_attention.source),
        _of_sentence(self_attention.target),
    )


@torch.inference_mode()
def trace_beam(
    model: TranslationModel[Any], source_ids: TokenIds, config: SearchConfig, prefix: TokenIds
) -> BeamTrace | None:
    """The hypotheses of every step of a beam search for one sentence; None for a model or a search without a beam."""
    if not isinstance(model, Autoregressive) or config.sampling:
        return None
    source = batch_with_end(model, [source_ids])
    beams = _TracedBeamSearch(model, source, config, [prefix] if prefix else None)
    while beams.sentences:
        beams.step()
    return BeamTrace(config.beam, beams.steps)


class _TracedBeamSearch(BeamSearch):
    """Beam search for one sentence that writes down its hypotheses."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.steps: list[list[BeamNode]] = []
        self._ended: list[BeamNode] = []

    def _collect_finished(self, scores: Array, is_eos: Array, parents: Array, truncated: Array) -> None:
        super()._collect_finished(scores, is_eos, parents, truncated)
        self._ended = [
            BeamNode(self.eos_id, parent, score, self.config.normalize(score, self.length + 1))
            for parent, score, has_ended in zip(
                *(array[0].tolist() for array in (parents, scores, is_eos)), strict=True
            )
            if has_ended and score > -float("inf")
        ]

    def _close_finished_sentences(self, best_scores: list[float]) -> None:
        live = zip(*(a[0].tolist() for a in to_host(self.tokens, self.parents, self.scores)), strict=True)
        nodes = [BeamNode(token, parent, score) for token, parent, score in live if score > -float("inf")]
        self.steps.append(nodes + self._ended)
        super()._close_finished_sentences(best_scores)


def _of_sentence(weights: Tensor | None) -> Tensor | None:
    """The weights [layers, heads, ...] of the only sentence of a batch."""
    return None if weights is None else weights[0].float().cpu()
