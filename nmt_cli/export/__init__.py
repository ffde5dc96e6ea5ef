"""Trained models in the formats of other runtimes, one module per format."""
