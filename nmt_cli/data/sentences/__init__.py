"""Sentences: where they end in a line."""
