"""Several processes: the group, starting them, meeting, and noticing when one is stuck."""
