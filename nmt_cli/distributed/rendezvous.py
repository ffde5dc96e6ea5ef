"""Rendezvous: how the processes of one start find each other, and not those of an earlier start.

After a restart torchrun reuses its store of addresses, with the addresses of the failed processes
in it (PyTorch issue 135712, still in 2.13). Its restart count does not help, as each machine counts
its own restarts. Rank 0 therefore numbers the starts in that store and answers each process that
asks. torchrun ends all processes before it starts the next ones, so every process that is answered
belongs to the same start.
"""

import time
import uuid
from datetime import timedelta

from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

POLL_SECONDS = 0.05


def create_store(timeout: timedelta) -> Store:
    """The store of this start; waits until all processes have joined.

    Reads the environment variables RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT.
    """
    store, rank, world_size = next(rendezvous("env://", timeout=timeout))
    generation = open_generation(store, world_size) if rank == 0 else join_generation(store, rank)
    return PrefixStore(f"start/{generation}", store)


def open_generation(store: Store, world_size: int) -> int:
    """On rank 0: open the next start and answer all other ranks; returns its number."""
    generation = int(store.add("starts", 1))
    for rank in range(1, world_size):
        token = store.get(f"here/{generation}/{rank}").decode()  # waits until it is set
        store.set(f"welcome/{generation}/{rank}", token)
    return generation


def join_generation(store: Store, rank: int) -> int:
    """On another rank: wait for an answer of rank 0; returns the number of the start in which it came."""
    token = uuid.uuid4().hex
    while True:
        generation = int(store.add("starts", 0))
        welcome_key = f"welcome/{generation}/{rank}"
        store.set(f"here/{generation}/{rank}", token)
        while int(store.add("starts", 0)) == generation:
            if store.check([welcome_key]) and store.get(welcome_key).decode() == token:
                return generation
            time.sleep(POLL_SECONDS)
