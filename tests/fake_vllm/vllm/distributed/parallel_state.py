"""As in vLLM."""

from fake_work import work


def init_distributed_environment(world_size: int, rank: int) -> None:
    work("init_process_group")


def ensure_model_parallel_initialized(
    tensor_model_parallel_size: int, pipeline_model_parallel_size: int
) -> None:
    if tensor_model_parallel_size == 1:
        return
    from vllm.distributed.device_communicators.custom_all_reduce import CustomAllreduce
    from vllm.distributed.device_communicators.pynccl import PyNcclCommunicator
    from vllm.distributed.device_communicators.quick_all_reduce import QuickAllReduce
    from vllm.distributed.device_communicators.symm_mem import SymmMemCommunicator

    for communicator in (PyNcclCommunicator, CustomAllreduce, QuickAllReduce, SymmMemCommunicator):
        communicator(group=None, device=0)
