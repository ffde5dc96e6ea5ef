"""Search against exhaustive enumeration, on a model whose distribution is a small table."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt_cli.decoding.beam import compaction_order, round_up_size, rows_to_keep, search, topk
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Hypothesis
from nmt_cli.decoding.ensemble import Ensemble
from nmt_cli.models import MODELS
from nmt_cli.models.configs import ModelConfig
from nmt_cli.models.contract import Autoregressive, Sequences, State
from nmt_cli.vocabulary import Vocabulary

SIZE, END = 7, 3
VOCABULARY = Vocabulary(source_size=SIZE, target_size=SIZE, joint=True)


class TableState(State):
    """The source words of the open sentences, and how far each has been written."""

    def __init__(self, keys: Tensor, beam_size: int) -> None:
        self.keys, self.beam_size, self.length = keys, beam_size, 0

    def reorder(self, parents: Tensor) -> None:
        pass

    def select(self, sentences: Tensor) -> None:
        self.keys = self.keys[sentences]


class TableModel(Autoregressive[ModelConfig, TableState]):
    """Scores depend on the last token, the position and the first source word: a fake."""

    def __init__(self, seed: int, sharpness: float = 1.5) -> None:
        super().__init__(ModelConfig(type="table"), VOCABULARY)
        draw = torch.Generator().manual_seed(seed)
        table = torch.randn(SIZE, 12, SIZE, SIZE, generator=draw) * sharpness
        table[..., [0, 1, 2]] = -math.inf
        self.table = torch.nn.Parameter(table)

    def forward(self, source: Sequences, target_in: Sequences) -> Tensor:
        raise NotImplementedError

    def output_logits(self, hidden: Tensor) -> Tensor:
        raise NotImplementedError

    def init_state(self, source: Sequences, beam_size: int, max_steps: int) -> TableState:
        return TableState(source.ids[:, 0], beam_size)

    def decode_step(self, tokens: Tensor, state: TableState) -> tuple[Tensor, TableState]:
        keys = state.keys.repeat_interleave(state.beam_size)
        logits = self.table[keys, min(state.length, 11), tokens].clone()
        state.length += 1
        return logits, state

    def attention(self, source: Sequences, target_in: Sequences) -> Tensor | None:
        return None


def source(words: list[int]) -> Sequences:
    return Sequences(torch.tensor([[w, END] for w in words]), torch.tensor([2] * len(words)))


def everything(model: TableModel, word: int, config: SearchConfig) -> list[Hypothesis]:
    """All translations up to the longest, best first."""
    hypotheses = []
    tables = model.table.detach().log_softmax(-1)
    longest = config.max_target_length(1)
    for length in range(config.min_length, longest + 1):
        for ids in itertools.product(range(4, SIZE), repeat=length):
            total, last = 0.0, VOCABULARY.start
            for position, token in enumerate((*ids, END)):
                total += float(tables[word, position, last, token])
                last = token
            hypotheses.append(Hypothesis(list(ids), total, config.normalize(total, length + 1)))
    return sorted(hypotheses, key=lambda hypothesis: -hypothesis.score)


@pytest.mark.parametrize("normalization", ["average", "gnmt", "none"])
@pytest.mark.parametrize("alpha", [0.6, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_finds_what_enumeration_finds(normalization: str, alpha: float, seed: int) -> None:
    config = SearchConfig(
        beam=120, n_best=4, max_length=4,
        length_normalization=normalization, length_penalty=alpha,  # type: ignore[arg-type]
    )  # fmt: skip
    model = TableModel(seed)
    words = [4, 5, 6]
    for word, hypotheses in zip(words, search(model, source(words), config), strict=True):
        best = everything(model, word, config)[:4]
        assert [hypothesis.ids for hypothesis in hypotheses] == [hypothesis.ids for hypothesis in best]
        for hypothesis, expected in zip(hypotheses, best, strict=True):
            assert hypothesis.log_probability == pytest.approx(expected.log_probability, abs=1e-4)
            assert hypothesis.score == pytest.approx(expected.score, abs=1e-4)


@pytest.mark.parametrize("seed", [0, 1])
def test_patience_ends_a_sentence_once_so_many_hypotheses_have_ended(seed: int) -> None:
    best_by_patience, steps = {}, {}
    for patience in (None, 1000, 1.0, 0.2):
        model = TableModel(seed)
        config = SearchConfig(beam=5, max_length=10, patience=patience)
        counted = itertools.count()
        original = model.decode_step
        model.decode_step = lambda *rest, go=original, n=counted: (next(n), go(*rest))[1]  # type: ignore
        best_by_patience[patience] = search(model, source([4]), config)[0][0]
        steps[patience] = next(counted)
    assert best_by_patience[1000] == best_by_patience[None] and steps[1000] == steps[None]
    assert steps[0.2] <= steps[1.0] < steps[None] == 11
    assert best_by_patience[0.2].score <= best_by_patience[1.0].score <= best_by_patience[None].score


def test_a_batch_is_larger_on_a_gpu_unless_its_size_is_given() -> None:
    assert [SearchConfig().max_positions(device) for device in ("cpu", "cuda")] == [8192, 65536]
    sizes = [SearchConfig().max_positions("cpu", cached) for cached in (0, 2048, 6144, 12288)]
    assert sizes == [8192, 8192, 3413, 1706]
    assert SearchConfig().max_positions("cuda", 12288) == 65536
    given = SearchConfig(tokens_per_batch=100)
    assert [given.max_positions(device, 12288) for device in ("cpu", "cuda")] == [100, 100]


def test_greedy_takes_the_best_token_at_each_step() -> None:
    model = TableModel(3)
    config = SearchConfig(beam=1, max_length=6)
    (hypotheses,) = search(model, source([4]), config)
    ids, last = [], VOCABULARY.start
    for position in range(6):
        last = int(model.table[4, position, last].argmax())
        if last == END:
            break
        ids.append(last)
    assert hypotheses[0].ids == ids


@pytest.mark.parametrize("beam", [1, 2, 5])
def test_lengths_stay_between_shortest_and_longest(beam: int) -> None:
    model = TableModel(1)
    config = SearchConfig(beam=beam, min_length=3, max_length=5, n_best=beam)
    for hypotheses in search(model, source([4, 5, 6]), config):
        assert hypotheses and all(3 <= len(hypothesis.ids) <= 5 for hypothesis in hypotheses)


@pytest.mark.parametrize("beam", [1, 3])
def test_every_translation_begins_with_its_prefix(beam: int) -> None:
    model = TableModel(2)
    config = SearchConfig(beam=beam, max_length=6)
    results = search(model, source([4, 5, 6]), config, [[6, 6], [], [4]])
    assert results[0][0].ids[:2] == [6, 6]
    assert results[2][0].ids[:1] == [4]
    free = search(model, source([5]), config)
    assert results[1][0].ids == free[0][0].ids


def test_a_sentence_is_searched_alike_alone_and_among_others() -> None:
    model = TableModel(4)
    config = SearchConfig(beam=3, max_length=8, n_best=3)
    together = search(model, source([4, 5, 6, 4]), config)
    for word, hypotheses in zip([4, 5, 6, 4], together, strict=True):
        (alone,) = search(model, source([word]), config)
        assert [hypothesis.ids for hypothesis in alone] == [hypothesis.ids for hypothesis in hypotheses]


def test_an_ensemble_of_one_model_twice_is_that_model() -> None:
    model = TableModel(6)
    config = SearchConfig(beam=4, max_length=6)
    (single,) = search(model, source([4]), config)
    (double,) = search(Ensemble([model, model]), source([4]), config)
    assert single[0].ids == double[0].ids
    assert double[0].log_probability == pytest.approx(single[0].log_probability, abs=1e-4)


def test_an_ensemble_averages_probabilities() -> None:
    first, other = TableModel(7), TableModel(8)
    ensemble = Ensemble([first, other])
    tokens, words = torch.tensor([2]), source([4])
    logits, _ = ensemble.decode_step(tokens, ensemble.init_state(words, 1, 4))
    mean = (first.table[4, 0, 2].softmax(-1) + other.table[4, 0, 2].softmax(-1)) / 2
    torch.testing.assert_close(logits[0].exp(), mean)


def test_sampling_depends_on_seed_and_text_and_not_on_the_batch() -> None:
    model = TableModel(5, sharpness=0.3)
    config = SearchConfig(beam=1, sampling=True, n_best=5, max_length=8, seed=3)
    together = search(model, source([4, 5, 6]), config)
    (alone,) = search(model, source([5]), config)
    assert [hypothesis.ids for hypothesis in alone] == [hypothesis.ids for hypothesis in together[1]]
    other = search(model, source([5]), config.model_copy(update={"seed": 4}))
    assert [hypothesis.ids for hypothesis in other[0]] != [hypothesis.ids for hypothesis in alone]


def test_samples_follow_the_distribution() -> None:
    model = TableModel(9, sharpness=1.0)
    config = SearchConfig(sampling=True, n_best=4000, max_length=1, beam=1)
    (samples,) = search(model, source([4]), config)
    probabilities = model.table[4, 0, 2].detach().softmax(-1)
    empty = sum(1 for hypothesis in samples if not hypothesis.ids) / 4000
    assert empty == pytest.approx(float(probabilities[END]), abs=0.03)


@pytest.mark.parametrize("extra", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 0.01}])
def test_narrow_sampling_is_greedy(extra: dict[str, Any]) -> None:
    model = TableModel(3)
    config = SearchConfig(sampling=True, max_length=6, beam=1, **extra)
    greedy = search(model, source([4, 5]), SearchConfig(beam=1, max_length=6))
    for hypotheses, expected in zip(search(model, source([4, 5]), config), greedy, strict=True):
        assert hypotheses[0].ids == expected[0].ids


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if issubclass(model, Autoregressive)])
@torch.no_grad()
def test_log_probabilities_are_those_of_forced_decoding(name: str) -> None:
    torch.manual_seed(1)
    vocabulary = Vocabulary(source_size=30, target_size=30, joint=True)
    model = MODELS[name](MODELS[name].config_class.tiny_configs()[0], vocabulary).eval()
    ids = torch.randint(4, 30, (3, 6))
    sources = Sequences(ids, torch.tensor([6, 4, 2]))
    results = search(model, sources, SearchConfig(beam=4, n_best=2, max_length=9))
    for row, hypotheses in enumerate(results):
        for hypothesis in hypotheses:
            length = int(sources.lengths[row])
            target = torch.tensor([[model.decoder_start_id, *hypothesis.ids]])
            alone = Sequences(ids[row : row + 1, :length], sources.lengths[row : row + 1])
            hidden = model(alone, Sequences(target, torch.tensor([target.shape[1]])))
            rows = model.output_logits(hidden)[0].log_softmax(-1)
            total = sum(float(rows[t, i]) for t, i in enumerate([*hypothesis.ids, vocabulary.end]))
            assert hypothesis.log_probability == pytest.approx(total, abs=1e-3)


@pytest.mark.parametrize("stay", [[], [0], [3], [0, 2, 3], [1, 2, 5], [4, 5], [0, 1, 2]])
def test_sentences_that_stay_move_only_into_places_that_became_free(stay: list[int]) -> None:
    order = compaction_order(stay)
    assert sorted(order) == stay
    assert all(order[row] == row for row in stay if row < len(stay))


class ManyWords(TableModel):
    """Has a table for each of 200 source words, and notes how many rows it was given."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        draw = torch.Generator().manual_seed(seed)
        table = torch.randn(200, 12, SIZE, SIZE, generator=draw)
        table[..., [0, 1, 2]] = -math.inf
        self.table = torch.nn.Parameter(table)
        self.row_counts: list[int] = []

    def decode_step(self, tokens: Tensor, state: TableState) -> tuple[Tensor, TableState]:
        self.row_counts.append(len(tokens))
        return super().decode_step(tokens, state)


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"beam": 1},
        {"n_best": 3, "length_normalization": "none"},
        {"patience": 1.0, "n_best": 2},
        {"min_length": 4, "no_repeat_ngram": 2},
        {"beam": 1, "min_length": 2, "no_repeat_ngram": 1},
        {"max_length": 6, "length_normalization": "gnmt"},
    ],
)
@pytest.mark.parametrize("with_prefixes", [False, True])
def test_a_batch_shrinks_to_few_sizes_and_closed_sentences_change_nothing(
    extra: dict[str, Any], with_prefixes: bool
) -> None:
    model, config = ManyWords(1), SearchConfig(**{"beam": 4, "max_length_factor": 2.0, **extra})
    lengths = [2 + 7 * word % 23 for word in range(200)]
    ids = torch.tensor([[word] + [4 + n % 2 for n in range(23)] for word in range(200)])
    for row, length in zip(ids, lengths, strict=True):
        row[length - 1] = END
    starts = [[4 + word % 3] * (word % 4) for word in range(200)] if with_prefixes else None
    together = search(model, Sequences(ids, torch.tensor(lengths)), config, starts)
    sizes = {rows // config.beam for rows in model.row_counts}
    assert sizes <= {200, *map(round_up_size, range(1, 200))} and len(sizes) > 3
    for word in range(0, 200, 9):
        length = lengths[word]
        alone = Sequences(ids[word : word + 1, :length], torch.tensor([length]))
        prefix = None if starts is None else starts[word : word + 1]
        assert search(model, alone, config, prefix)[0] == together[word]  # to the last bit


def test_few_sizes_of_a_batch_occur() -> None:
    assert [round_up_size(count) for count in (0, 1, 15, 16, 17, 33)] == [0, 1, 15, 16, 18, 36]
    sizes = [round_up_size(count) for count in range(1, 1025)]
    assert sizes == sorted(sizes) and len(set(sizes)) == 64
    assert all(count <= size < count * 1.125 for count, size in enumerate(sizes, 1))


def test_no_more_closed_sentences_stay_than_fill_the_batch() -> None:
    opened = [row % 3 == 2 for row in range(51)]  # 17 of them
    stay = rows_to_keep(opened)
    assert len(stay) == 18 and stay == sorted(stay) and {*range(2, 51, 3)} < {*stay}
    assert rows_to_keep([True] * 17) == list(range(17))  # none is made up
    assert rows_to_keep([False, True, False]) == [1] and rows_to_keep([False]) == []


@pytest.mark.parametrize("width", [10, 64, 700, 6000, 6001, 6063])
@pytest.mark.parametrize("count", [1, 3, 10])
def test_the_best_are_those_that_pytorch_finds(width: int, count: int) -> None:
    rows = torch.randn(7, width, generator=torch.Generator().manual_seed(width))
    rows[3] = rows[3].sort().values  # the best at the end, which may be in no column
    rows[4] = rows[4].sort(descending=True).values
    values, index = topk(rows, count)
    assert torch.equal(values, rows.topk(count).values)
    assert torch.equal(rows.gather(1, index), values)


def test_rows_in_which_little_is_possible() -> None:
    rows = torch.full((2, 1000), -torch.inf)
    rows[0, 999], rows[1, 5] = 1.0, 2.0
    values, index = topk(rows, 4)
    assert values[:, 0].tolist() == [1.0, 2.0] and index[:, 0].tolist() == [999, 5]
    assert values[:, 1:].isinf().all() and int(index.max()) < 1000
    assert all(len(set(row)) == 4 for row in index.tolist())
