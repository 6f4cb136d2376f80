"""Loads shards on each worker of torchrun, many more of them on the last one, and sums up over all."""

import hashlib
import tempfile

import torch
import torch.distributed as dist

from ledger import Recorder

SHARD = bytes(range(256)) * (1 << 17)
SHARDS = 3
SHARDS_OF_LAST = 60


def digest_of(shards, folder):
    """Read a shard as often as there are shards, and check it each time."""
    with open(f"{folder}/shard", "w+b") as file:
        file.write(SHARD)
        for _ in range(shards):
            file.seek(0)
            digest = hashlib.sha256(file.read()).digest()
    return digest


def main():
    recorder = Recorder.from_environment()
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    is_last = dist.get_rank() == dist.get_world_size() - 1
    with tempfile.TemporaryDirectory() as folder, recorder.stage("load_shards"):
        digest = digest_of(SHARDS_OF_LAST if is_last else SHARDS, folder)
    total = torch.tensor([float(digest[0])])
    dist.all_reduce(total)  # where the others wait for the last one
    recorder.milestone("engine_ready")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
