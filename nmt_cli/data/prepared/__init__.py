"""Prepared data: building, storing and reading encoded corpora."""
