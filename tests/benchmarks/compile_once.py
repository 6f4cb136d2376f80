"""Compiles one small model, cold, and prints the seconds that its first call took."""

import time

import torch
from torch import nn

model = torch.compile(nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.LayerNorm(256), nn.Linear(256, 64)))
inputs = torch.zeros(8, 64)
start = time.perf_counter()
with torch.no_grad():
    model(inputs)
print(time.perf_counter() - start)
