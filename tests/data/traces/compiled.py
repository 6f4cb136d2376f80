"""Compiles a small model with a graph break, forward and backward: what traces are taken of.

`compiled.py BACKEND SIZE`; with RANK set it first joins a group of WORLD_SIZE processes over the file GROUP.
"""

import os
import sys

import torch


class Broken(torch.nn.Module):
    def __init__(self, first: torch.nn.Module, second: torch.nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        torch._dynamo.graph_break()
        return torch.nn.functional.gelu(self.second(x)).softmax(-1)


def model(size: str) -> torch.nn.Module:
    second = torch.nn.Linear(32, 32)
    if size == "small":
        return Broken(torch.nn.Linear(32, 32), second)
    return Broken(torch.nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True), second)


if __name__ == "__main__":
    _, backend, size = sys.argv
    if rank := os.environ.get("RANK"):
        torch.distributed.init_process_group(
            "gloo",
            init_method=f"file://{os.environ['GROUP']}",
            rank=int(rank),
            world_size=int(os.environ["WORLD_SIZE"]),
        )
    torch.manual_seed(0)
    torch.compile(model(size), backend=backend)(torch.randn(2, 8, 32)).square().sum().backward()
    if rank:
        torch.distributed.destroy_process_group()
