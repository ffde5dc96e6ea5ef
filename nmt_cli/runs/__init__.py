"""A run: its folder and checkpoints, opening one, beginning one from another, exports kept with it."""
