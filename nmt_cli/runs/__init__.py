"""Run folders: opening a run, setting up a training, starting from another run, cached exports."""
