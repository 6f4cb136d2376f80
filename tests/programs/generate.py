"""Loads tiny models from disk with transformers and generates: `python generate.py FOLDER [KIND …]`.

Kinds: `text`, `image` (with a compiled vision tower), `assisted`. Nothing of torch is imported first.
Without a kind, the models are written.
"""

import sys
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, CompileConfig

IMAGE_TOKEN = 9


def make(folder: Path) -> None:
    """Write the models, once."""
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlamaForCausalLM,
        LlavaConfig,
        LlavaForConditionalGeneration,
    )

    sizes: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    text = LlamaConfig(vocab_size=32, num_attention_heads=2, max_position_embeddings=64, **sizes)
    LlamaForCausalLM(text).save_pretrained(folder / "text")
    LlamaForCausalLM(text).save_pretrained(folder / "draft")
    vision = CLIPVisionConfig(num_attention_heads=2, image_size=8, patch_size=4, **sizes)
    both = LlavaConfig(vision_config=vision, text_config=text, image_token_id=IMAGE_TOKEN)
    LlavaForConditionalGeneration(both).save_pretrained(folder / "image")


def main(folder: Path, *kinds: str) -> None:
    """Run one model after the other."""
    if not folder.exists():
        make(folder)
        return
    import torch

    compiled = CompileConfig(backend="aot_eager", mode=None)
    compiled._compile_all_devices = True
    static: dict[str, Any] = {"cache_implementation": "static", "compile_config": compiled}
    greedy: dict[str, Any] = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
    ids = torch.tensor([[1, 2, 3]])
    if "text" in kinds:
        model = AutoModelForCausalLM.from_pretrained(folder / "text")
        for _ in range(2):
            print(model.generate(ids, **greedy, **static).shape[1])
    if "image" in kinds:
        model = AutoModelForImageTextToText.from_pretrained(folder / "image")
        model.model.vision_tower.compile(backend="aot_eager")
        prompt = torch.tensor([[1, *[IMAGE_TOKEN] * 4, 2]])
        pixels = torch.zeros(1, 3, 8, 8)
        print(model.generate(prompt, pixel_values=pixels, **greedy, **static).shape[1])
    if "assisted" in kinds:
        model = AutoModelForCausalLM.from_pretrained(folder / "text")
        draft = AutoModelForCausalLM.from_pretrained(folder / "draft")
        print(model.generate(ids, assistant_model=draft, **greedy).shape[1])


main(Path(sys.argv[1]), *sys.argv[2:])
