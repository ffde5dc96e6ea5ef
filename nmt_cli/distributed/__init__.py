"""Training with several processes: launching them, rendezvous, collectives, and a watchdog."""
