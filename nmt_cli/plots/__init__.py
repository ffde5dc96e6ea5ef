"""Pictures: attention, scores by length, positions, curves. Files need matplotlib."""
