"""Corpora by name: a catalogue of public ones, mtdata's identifiers, Hugging Face datasets."""
