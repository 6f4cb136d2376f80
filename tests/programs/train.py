"""Trains a small classifier on batches of several sizes, and prints the loss in the compiled step."""

import torch
from torch import nn

BATCH_SIZES = (32, 24, 17)


@torch.compile(dynamic=False)  # compiles again for each batch size
def training_step(model, inputs, labels):
    loss = nn.functional.cross_entropy(model(inputs), labels)
    print(f"loss {loss:.3f}")  # breaks the graph
    return loss * len(inputs) / BATCH_SIZES[0]


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for size in BATCH_SIZES:
        optimizer.zero_grad()
        training_step(model, torch.randn(size, 64), torch.randint(10, (size,))).backward()
        optimizer.step()


if __name__ == "__main__":
    main()
