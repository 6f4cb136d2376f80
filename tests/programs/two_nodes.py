"""One rank of a distributed program: compiles something, and is ready once all ranks have."""

import torch
import torch.distributed as dist

from ledger import Recorder

recorder = Recorder.from_environment()
assert recorder is not None
dist.init_process_group("gloo")


@torch.compile(backend="eager")
def double(x: torch.Tensor) -> torch.Tensor:
    return x * 2


with recorder.stage("torch_compile", role="language_model", source="user"):
    total = double(torch.ones(1))
dist.all_reduce(total)
assert total.item() == 2 * dist.get_world_size()
recorder.milestone("engine_ready")
dist.destroy_process_group()
