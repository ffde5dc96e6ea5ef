"""What is compared: every row of the table, and the experiments behind each claim."""

from experiment import Experiment

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
    names = {"additive": "rnn", "transformer": "transformer"}
    names |= {model_name: model_name for model_name in ("decoder-only", "ctc")}
    return f"multi30k-en-de-{names.get(system, f'rnn-{system}')}"


# What is no more than a variant of another row gets a fifth of its time.
FEW = {"training.updates": 600, "training.warmup_updates": 100, "training.validate_every": 200}
BRIEF = {"concat": FEW, "cosine": FEW}
ROWS = {system: Experiment(system, recipe(system), BRIEF.get(system, {})) for system in SYSTEMS}

# The bottleneck (Bahdanau et al. 2015, figure 2): examples of 1 to 5 neighbouring captions. Each
# goes on from the row of single captions, so that a few epochs of the long examples are enough: a
# sixth of its recipe's updates, so that all take about as long here, too.
PLAIN = {"search.repair_degenerate": "false", "search.split": "false"}  # no mending of what is to be seen
JOINED = PLAIN | {
    "corpus.concatenate": 5, "training.tokens_per_batch": 4096, "training.warmup_updates": 100,
    "training.validate_every": 250,
}  # fmt: skip
BOTTLENECK = {
    system: Experiment(
        f"joined-{system}", recipe(system),
        JOINED | {"training.updates": updates, "training.init_from": ROWS[system].place},
    )
    for system, updates in {"none": 500, "additive": 500, "transformer": 750}.items()
}  # fmt: skip

# Positions: trained on short sentences only, tried on longer ones.
POSITIONS = {
    kind: Experiment(
        f"positions-{kind}", recipe("transformer"),
        {"model.positions": kind, "corpus.max_length": 20} | PLAIN | FEW,
    )
    for kind in ("sinusoidal", "learned", "rotary", "none")
}  # fmt: skip
