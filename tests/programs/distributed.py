"""Trains a small model on two workers of torchrun."""

import torch
import torch.distributed as dist
from torch import nn

dist.init_process_group("gloo")
model = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64))
compiled = torch.compile(nn.parallel.DistributedDataParallel(model), backend="eager")
for _ in range(2):
    compiled(torch.randn(32, 64)).mean().backward()
dist.destroy_process_group()
