"""Compiles something in the way that is named, and prints what torch then totals up.

It knows nothing of compile-ledger. It prints one line of JSON: the seconds that the compiles took on a clock
around them, `calculate_time_spent()`, and all lengths of spans that `compile_times()` prints.
"""

import json
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch._dynamo import utils


class Block(nn.Module):
    """A transformer block."""

    def __init__(self, width=32, heads=4):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.projected = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, hidden):
        batch, positions, width = hidden.shape
        projected = self.projected(self.norm(hidden))
        heads = projected.view(batch, positions, 3 * self.heads, width // self.heads).transpose(1, 2)
        attention = nn.functional.scaled_dot_product_attention(*heads.chunk(3, dim=1), is_causal=True)
        hidden = hidden + self.attended(attention.transpose(1, 2).reshape(batch, positions, width))
        return hidden + self.feed_forward(hidden)


def training(inputs):
    torch.compile(Block())(inputs).sum().backward()


def eager(inputs):
    torch.compile(Block(), backend="eager")(inputs)


def eager_then_reset(inputs):
    eager(inputs)
    torch._dynamo.reset()


def eager_around_a_reset(inputs):
    eager_then_reset(inputs)
    another(inputs)


def another(inputs):
    torch.compile(nn.Linear(32, 8), backend="eager")(inputs)


def ahead_of_time(inputs):
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        exported = torch.export.export(nn.Sequential(nn.Linear(32, 8), nn.GELU()).eval(), (inputs,))
        torch._inductor.aoti_compile_and_package(exported, package_path=str(Path(folder) / "block.pt2"))


def in_forked_children(inputs):
    """A child compiles, its parent compiles, a child does nothing, and one more compiles something else."""
    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    forked(eager, inputs)
    eager(inputs)
    forked(str, inputs)
    forked(another, inputs)


def forked(function, inputs):
    child = multiprocessing.get_context("fork").Process(target=function, args=(inputs,))
    child.start()
    child.join()
    assert child.exitcode == 0


WAYS = (training, eager, eager_then_reset, eager_around_a_reset, ahead_of_time, in_forked_children)


def main():
    compile_it = next(way for way in WAYS if way.__name__ == sys.argv[1])
    inputs = torch.ones(2, 8, 32)
    start_ns = time.perf_counter_ns()
    compile_it(inputs)
    print(
        json.dumps(
            {
                "wall_s": (time.perf_counter_ns() - start_ns) / 1e9,
                "spent": utils.calculate_time_spent(),
                "lengths": utils.compilation_time_metrics,
            }
        )
    )


if __name__ == "__main__":
    main()
