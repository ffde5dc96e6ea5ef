"""Search over ids, and translation of text."""
