"""Fits a plane to points with torch, whose import takes about a third of the time."""

from ledger import Recorder

recorder = Recorder.from_environment()


def main():
    import torch

    torch.set_num_threads(1)
    with recorder.stage("read_points"):
        torch.manual_seed(0)
        inputs = torch.randn(200_000, 8)
        values = inputs @ torch.arange(8.0) + 0.1 * torch.randn(200_000)
    with recorder.stage("fit"):
        weights = torch.zeros(8, requires_grad=True)
        optimizer = torch.optim.SGD([weights], lr=0.1)
        for _ in range(900):
            optimizer.zero_grad()
            (inputs @ weights - values).square().mean().backward()
            optimizer.step()
    print(weights.tolist())


if __name__ == "__main__":
    main()
