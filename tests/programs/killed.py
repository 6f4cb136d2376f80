"""Compiles with a backend that fails, and then a model that takes long enough to be killed meanwhile."""

import torch

from ledger_torch.demo import VisionEncoder


def broken(graph: object, inputs: object) -> object:
    raise RuntimeError("this backend can't")


try:
    torch.compile(torch.nn.Linear(2, 2), backend=broken)(torch.zeros(1, 2))
except Exception as error:
    print(type(error).__name__)
with torch.no_grad():
    torch.compile(VisionEncoder())(torch.zeros(1, 3, 32, 32))
