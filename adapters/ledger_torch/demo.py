"""Compiles a small vision encoder and a small decoder language model, each inside a monitor's interval.

`python -m ledger_torch.demo` is what `compile-ledger demo` runs in a child process, cold and then warm. The
intervals are what a monitor of an engine would measure: the first call, so compile and first run together.
"""

import time
from typing import Final

import torch
from torch import Tensor, nn

from ledger import Recorder

_WIDTH: Final = 64
_HEADS: Final = 4
_PATCH: Final = 8
_IMAGE: Final = 32
_VOCABULARY: Final = 512
_TOKENS: Final = 16
_BLOCKS: Final = 2


class Block(nn.Module):
    """A transformer block: attention, over what came before only where `causal`, and a feed-forward part."""

    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.before_attention = nn.LayerNorm(_WIDTH)
        self.queries_keys_values = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.attended = nn.Linear(_WIDTH, _WIDTH)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(_WIDTH), nn.Linear(_WIDTH, 4 * _WIDTH), nn.GELU(), nn.Linear(4 * _WIDTH, _WIDTH)
        )

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the next hidden states, of the same shape: (batch, positions, width)."""
        batch, positions, width = hidden.shape
        projected = self.queries_keys_values(self.before_attention(hidden))
        heads = projected.view(batch, positions, 3 * _HEADS, width // _HEADS).transpose(1, 2)
        queries, keys, values = heads.chunk(3, dim=1)
        attention = nn.functional.scaled_dot_product_attention(queries, keys, values, is_causal=self.causal)
        hidden = hidden + self.attended(attention.transpose(1, 2).reshape(batch, positions, width))
        return hidden + self.feed_forward(hidden)


class VisionEncoder(nn.Module):
    """Images (batch, 3, height, width) to one hidden state per patch."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, _WIDTH, kernel_size=_PATCH, stride=_PATCH)
        self.blocks = nn.Sequential(*(Block(causal=False) for _ in range(_BLOCKS)))

    def forward(self, images: Tensor) -> Tensor:
        """Return hidden states of shape (batch, patches, width)."""
        return self.blocks(self.patches(images).flatten(2).transpose(1, 2))


class DecoderLM(nn.Module):
    """Token ids (batch, positions) to the next token's logits at each position."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_VOCABULARY, _WIDTH)
        self.blocks = nn.Sequential(*(Block(causal=True) for _ in range(_BLOCKS)))
        self.head = nn.Linear(_WIDTH, _VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits of shape (batch, positions, vocabulary)."""
        return self.head(self.blocks(self.embedding(tokens)))


def main() -> None:
    """Compile and run both models once, recorded where `COMPILE_LEDGER` is set."""
    recorder = Recorder.from_environment()
    images = torch.zeros(1, 3, _IMAGE, _IMAGE)
    tokens = torch.zeros(1, _TOKENS, dtype=torch.int64)
    parts = (("encoder", VisionEncoder(), images), ("language_model", DecoderLM(), tokens))
    for role, model, inputs in parts:
        name = type(model).__name__
        compiled = torch.compile(model.eval())  # pyright: ignore[reportUnknownMemberType]
        print(f"compiling {name}, the {role.replace('_', ' ')} ...", flush=True)
        start_ns = time.perf_counter_ns()
        with torch.no_grad(), recorder.stage("torch_compile", role=role, source="monitor", component=name):
            compiled(inputs)
        print(f"{name}: first call took {(time.perf_counter_ns() - start_ns) / 1e9:.2f} s", flush=True)


if __name__ == "__main__":
    main()
