"""Maps vLLM's tag of a compile to the part of the model that it belongs to."""

import sys
from typing import Final

from ledger_engine.model_parts import Part

_DRAFTERS: Final = (
    "eagle",
    "medusa",
    "dflash",
    "dspark",
    "draft_model",
    "extract_hidden_states",
    "lilicorr",
)
"""Prefixes of the tags of speculative decoding: `eagle_head`, `dflash2_candidate_selector`."""


BACKBONE: Final = "backbone"
"""vLLM's tag of what it makes under no other one."""


def part_of(tag: str | None, *, is_encoder: bool) -> Part:
    """Return the part that a tag names.

    `self_decoder` and `cross_decoder` are parts of the language model, as vLLM counts them.
    """
    if is_encoder:
        return Part("encoder", tag)
    return Part("drafter" if is_drafter(tag) else "language_model", tag)


def is_drafter(tag: str | None) -> bool:
    """Return whether a tag names a model that proposes tokens for another one."""
    return tag is not None and tag.startswith(_DRAFTERS)


def current_tag() -> tuple[str | None, bool]:
    """Return the tag of the model that vLLM is making now, and whether it is an encoder.

    In a process that makes none, the tag is None.
    """
    backends = sys.modules.get("vllm.compilation.backends")
    return getattr(backends, "model_tag", None), bool(getattr(backends, "model_is_encoder", False))
