"""What is compared: the systems of the main table, and the experiments on sentence length and positions."""

from benchmarks.comparison.experiment import Experiment
from benchmarks.workloads import ROOT

SYSTEMS = {
    "none": "LSTM, one fixed vector (Cho et al. 2014), source reversed (Sutskever et al. 2014)",
    "additive": "GRU, additive attention (Bahdanau et al. 2015)",
    "dot": "GRU, dot attention (Luong et al. 2015)",
    "general": "GRU, general attention, scaled (Luong et al. 2015)",
    "concat": "GRU, concat attention (Luong et al. 2015)",
    "cosine": "GRU, cosine attention (Graves et al. 2014)",
    "transformer": "Transformer (Vaswani et al. 2017)",
    "decoder-only": "decoder-only Transformer (Wang et al. 2021)",
    "ctc": "CTC, all positions at once (Libovický and Helcl 2018)",
}


def recipe(system: str) -> str:
    """The shipped recipe of a system."""
    names = {"additive": "rnn", "transformer": "transformer", "decoder-only": "decoder-only", "ctc": "ctc"}
    return f"multi30k-en-de-{names.get(system, f'rnn-{system}')}"


# Variants of other systems get a fifth of the updates.
FEW = {"training.updates": 600, "training.warmup_updates": 100, "training.validate_every": 200}
BRIEF = {"concat": FEW, "cosine": FEW}
ROWS = {system: Experiment(system, recipe(system), BRIEF.get(system, {})) for system in SYSTEMS}

# The bottleneck (Bahdanau et al. 2015, figure 2): examples of 1 to 5 neighbouring captions. Each run is
# initialised from the system trained on single captions, so that a sixth of the recipe's updates, a few
# epochs of the long examples, are enough.
PLAIN = {"search.repair_degenerate": "false", "search.split": "false"}  # they would hide the failures to be measured
JOINED = PLAIN | {
    "corpus.concatenate": 5, "training.tokens_per_batch": 4096, "training.warmup_updates": 100,
    "training.validate_every": 250,
}  # fmt: skip
BOTTLENECK = {
    system: Experiment(
        f"joined-{system}", recipe(system),
        JOINED | {"training.updates": updates, "training.init_from": str(ROWS[system].run.relative_to(ROOT))},
    )
    for system, updates in {"none": 500, "additive": 500, "transformer": 750}.items()
}  # fmt: skip

# Positions: trained on short sentences only, tested on longer ones.
POSITIONS = {
    kind: Experiment(
        f"positions-{kind}", recipe("transformer"),
        {"model.positions": kind, "corpus.max_length": 20} | PLAIN | FEW,
    )
    for kind in ("sinusoidal", "learned", "rotary", "none")
}  # fmt: skip
