"""Text and ids: corpora, tokenizers, prepared data, batches. NumPy, no torch."""

SIDES = ("source", "target")  # of a pair, as files are named after them
