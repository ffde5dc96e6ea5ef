"""Text and ids: corpora, tokenizers, prepared data, batches. NumPy, no torch."""
