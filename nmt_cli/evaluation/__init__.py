"""Metrics, and validation while training."""
