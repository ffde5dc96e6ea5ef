"""Training: batches, loss, gradients, optimizer, schedule, checkpoints, and the loop over updates."""
