"""A small stand-in for vLLM, for the tests of `ledger_vllm`. It is none of vLLM's code.

It has vLLM's module paths, names, parameters and order of events (who calls whom, which words are logged
when, what is added to which accumulator, which exceptions are swallowed) at the places that
`ledger_vllm.hook_targets.TABLE` names and around them, and short sleeps where vLLM works.
`FAKE_VLLM_VERSION` says which version it acts as: 0.19.1, 0.20.0 or 0.32.0. What a test wants of it,
`vllm.config` says.
"""

import os

import torch  # noqa: F401

__version__ = os.environ.get("FAKE_VLLM_VERSION", "0.32.0")


def is_at_least(version: str) -> bool:
    """Tell whether this acts as a version or a newer one."""
    return _parts(__version__) >= _parts(version)


def _parts(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
