"""How the processes of one start find each other, and none of an earlier start.

torchrun hands its store of addresses on to the processes that it starts in place of failed ones,
with the addresses of the dead in it (PyTorch issue 135712; so in 2.13 too). Its count of restarts
is no help: each machine counts its own. So rank 0 numbers the starts in that store, and answers
each process that asks. torchrun ends all processes before it starts the next ones; hence whoever is
answered in a start belongs to it.
"""

import time
import uuid
from datetime import timedelta

from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

POLL_SECONDS = 0.05  # seconds


def create_store(timeout: timedelta) -> Store:
    """The store of this start.

    Reads RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT; waits until all processes are there.
    """
    store, rank, world_size = next(rendezvous("env://", timeout=timeout))
    generation = open_generation(store, world_size) if rank == 0 else join_generation(store, rank)
    return PrefixStore(f"start/{generation}", store)


def open_generation(store: Store, world_size: int) -> int:
    """Rank 0: begin the next start and answer all other ranks; its number."""
    generation = int(store.add("starts", 1))
    for rank in range(1, world_size):
        token = store.get(f"here/{generation}/{rank}").decode()  # waits for it
        store.set(f"welcome/{generation}/{rank}", token)
    return generation


def join_generation(store: Store, rank: int) -> int:
    """Another rank: the number of the start in which rank 0 answers."""
    token = uuid.uuid4().hex
    while True:
        generation = int(store.add("starts", 0))
        welcome_key = f"welcome/{generation}/{rank}"
        store.set(f"here/{generation}/{rank}", token)
        while int(store.add("starts", 0)) == generation:
            if store.check([welcome_key]) and store.get(welcome_key).decode() == token:
                return generation
            time.sleep(POLL_SECONDS)
