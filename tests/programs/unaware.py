"""Compiles a model with a graph break, its backward, and one more with a backend that fails.

It knows nothing of compile-ledger. It prints one line of JSON: for each call that compiles, its name, the
clock (`time.perf_counter_ns`) just before and just after it, and the exception that it caught, or null. The
models are so small that running them takes no time beside compiling them.
"""

import json
import time

import torch


class Broken(torch.nn.Module):
    """Two layers with a graph break between them."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(4, 4)
        self.second = torch.nn.Linear(4, 4)

    def forward(self, inputs):
        hidden = torch.tanh(self.first(inputs))
        torch._dynamo.graph_break()
        return torch.sigmoid(self.second(hidden)).sum()


def failing_backend(graph, example_inputs):
    raise RuntimeError("this backend compiles nothing")


calls = []


def timed(name, call, *arguments):
    caught = result = None
    start_ns = time.perf_counter_ns()
    try:
        result = call(*arguments)
    except Exception as error:
        caught = type(error).__name__
    calls.append({"call": name, "start_ns": start_ns, "stop_ns": time.perf_counter_ns(), "caught": caught})
    return result


def main():
    inputs = torch.ones(2, 4)
    loss = timed("forward", torch.compile(Broken()), inputs)
    timed("backward", loss.backward)
    timed("failing backend", torch.compile(torch.nn.Linear(4, 4), backend=failing_backend), inputs)
    print(json.dumps(calls))


if __name__ == "__main__":
    main()
