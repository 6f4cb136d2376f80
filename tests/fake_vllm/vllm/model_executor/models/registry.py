"""As in vLLM: a model's class is looked up in a process that does nothing else."""

import subprocess
import sys

_SUBPROCESS_COMMAND = [sys.executable, "-m", "vllm.model_executor.models.registry"]


def inspect_model_cls() -> None:
    _run_in_subprocess(lambda: None)


def _run_in_subprocess(fn: object) -> None:
    returned = subprocess.run(_SUBPROCESS_COMMAND, input=b"", capture_output=True)
    try:
        returned.check_returncode()
    except Exception as e:
        raise RuntimeError(f"Error raised in subprocess:\n{returned.stderr.decode()}") from e


if __name__ == "__main__":
    from vllm.plugins import load_general_plugins

    load_general_plugins()
