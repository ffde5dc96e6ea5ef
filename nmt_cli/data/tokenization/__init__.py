"""Subword tokenizers: training, encoding, sampling, import."""
