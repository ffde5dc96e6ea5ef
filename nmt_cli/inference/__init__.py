"""Text in, text out with one engine: reading lines, splitting long ones, translating, repairing, formatting."""
