"""Search over ids, and scoring of given translations."""
