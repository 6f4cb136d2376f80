"""Starts as an engine of two pipeline stages does: each rank compiles its blocks, and waits for the other.

Rank 0 has the encoder and the smaller part of the language model. With `--with-pass`, the encoder is compiled
with a custom graph pass that changes nothing and has no uuid: Inductor then can't cache what it compiles.
"""

import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path

from ledger import Recorder

CENT_NS = 10_000_000
BLOCKS = ({"encoder": 2, "language_model": 2}, {"language_model": 6})
"""For each rank, how many blocks of which part it has."""


def run_rank(rank, store, with_pass):
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(len(BLOCKS)), "GLOO_SOCKET_IFNAME": "lo"}
    recorder = Recorder.from_environment()
    with recorder.stage("engine_init", source="engine"):
        with recorder.stage("process_start", source="engine"):
            import torch
            from torch import distributed
            from torch._inductor.cpu_vec_isa import pick_vec_isa

            from ledger_torch.demo import Block

            # Waiting threads of a pool would take the few cores that the other rank wants as well.
            torch.set_num_threads(1)
            # Else the first compile of each rank asks the processor and the C++ compiler what they can.
            pick_vec_isa()
            distributed.init_process_group(
                "gloo", init_method=f"file://{store}", rank=rank, world_size=len(BLOCKS)
            )
        hidden = torch.zeros(1, 16, 64)
        took_s = {}
        for role, number in BLOCKS[rank].items():
            blocks = torch.nn.Sequential(*(Block(causal=role == "language_model") for _ in range(number)))
            options = {"post_grad_custom_post_pass": graph_pass()} if with_pass and role == "encoder" else {}
            compiled = torch.compile(blocks.eval(), options=options)
            with torch.no_grad(), recorder.stage("torch_compile", role=role, source="monitor"):
                start_s = time.perf_counter()
                compiled(hidden)
                took_s[role] = time.perf_counter() - start_s
        with recorder.stage("wait_for_ranks", source="engine", activity="startup"):
            of_ranks = [None] * len(BLOCKS)
            distributed.all_gather_object(of_ranks, took_s)
    if rank == 0:
        report(recorder, of_ranks)
    recorder.milestone("engine_ready")
    distributed.destroy_process_group()


def graph_pass():
    from torch._inductor.custom_graph_pass import CustomGraphPass

    class ChangesNothing(CustomGraphPass):
        def __call__(self, graph):
            pass

        def uuid(self):
            return None

    return ChangesNothing()


def report(recorder, of_ranks):
    """Say what compiling took as engines do: each part's maximum over the ranks, and the sum of these."""
    total_s = sum(max(took_s.get(role, 0) for took_s in of_ranks) for role in BLOCKS[0])
    recorder.claim(
        total_s, source="engine", counts="ranks", resolution_ns=CENT_NS,
        text=f"init engine took … (compilation: {total_s:.2f} s)",
    )  # fmt: skip


def main():
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        arguments = (str(Path(folder) / "store"), "--with-pass" in sys.argv)
        ranks = [
            context.Process(target=run_rank, args=(rank, *arguments), name=f"Rank_{rank}")
            for rank in range(len(BLOCKS))
        ]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join()
    sys.exit(any(process.exitcode for process in ranks))


if __name__ == "__main__":
    main()
