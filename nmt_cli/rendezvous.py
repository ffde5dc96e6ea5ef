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

POLL = 0.05  # seconds


def meet(timeout: timedelta) -> Store:
    """The store of this start.

    Reads RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT; waits until all processes are there.
    """
    store, rank, count = next(rendezvous("env://", timeout=timeout))
    start = open_start(store, count) if rank == 0 else enter_start(store, rank)
    return PrefixStore(f"start/{start}", store)


def open_start(store: Store, count: int) -> int:
    """Rank 0: begin the next start and answer all other ranks; its number."""
    start = int(store.add("starts", 1))
    for rank in range(1, count):
        name = store.get(f"here/{start}/{rank}").decode()  # waits for it
        store.set(f"welcome/{start}/{rank}", name)
    return start


def enter_start(store: Store, rank: int) -> int:
    """Another rank: the number of the start in which rank 0 answers."""
    own = uuid.uuid4().hex
    while True:
        start = int(store.add("starts", 0))
        welcome = f"welcome/{start}/{rank}"
        store.set(f"here/{start}/{rank}", own)
        while int(store.add("starts", 0)) == start:
            if store.check([welcome]) and store.get(welcome).decode() == own:
                return start
            time.sleep(POLL)
