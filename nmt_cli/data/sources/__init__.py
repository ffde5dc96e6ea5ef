"""Where parallel text comes from: files, a catalogue of public corpora, other libraries."""
