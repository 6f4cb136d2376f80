"""Writes the configurations of two tiny models that vLLM starts with random weights."""

import json
from pathlib import Path
from typing import Any

TEXT: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 32,
    "vocab_size": 1024,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "bos_token_id": 1,
    "eos_token_id": 2,
}

_SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>",
    "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip


def write_text_model(folder: Path) -> Path:
    """Write a Llama of four layers, without a tokenizer; return its folder."""
    _write(folder / "config.json", TEXT)
    return folder


def write_encoder_model(folder: Path) -> Path:
    """Write a Qwen2.5-VL: two layers, and an encoder of two blocks; return its folder."""
    vocabulary = {character: number for number, character in enumerate(sorted(_byte_alphabet()))}
    ids = {token: len(vocabulary) + number for number, token in enumerate(_SPECIAL_TOKENS)}
    _write(folder / "config.json", _encoder_model(ids))
    _write(folder / "vocab.json", vocabulary)
    (folder / "merges.txt").write_text("#version: 0.2\n")
    _write(folder / "tokenizer.json", _tokenizer(vocabulary, ids))
    message = "<|im_start|>{{m['role']}}\n{{m['content']}}<|im_end|>\n"
    _write(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "Qwen2TokenizerFast",
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "additional_special_tokens": _SPECIAL_TOKENS[1:],
            "chat_template": "{% for m in messages %}" + message + "{% endfor %}",
            "model_max_length": 2048,
        },
    )
    _write(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "Qwen2VLImageProcessor",
            "processor_class": "Qwen2_5_VLProcessor",
            "min_pixels": 3136,
            "max_pixels": 12544,
            "patch_size": 14,
            "temporal_patch_size": 2,
            "merge_size": 2,
            "image_mean": [0.48, 0.45, 0.40],
            "image_std": [0.26, 0.26, 0.27],
        },
    )
    return folder


def _byte_alphabet() -> list[str]:
    """Return the 256 characters that a byte-level BPE tokenizer writes bytes as."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    shifted = [256 + number for number in range(256 - len(kept))]
    return [chr(code) for code in kept + shifted]


def _tokenizer(vocabulary: dict[str, int], ids: dict[str, int]) -> dict[str, Any]:
    added = [
        {
            "id": number, "content": token, "special": True, "single_word": False,
            "lstrip": False, "rstrip": False, "normalized": False,
        }
        for token, number in ids.items()
    ]  # fmt: skip
    bytes_as_text = {"type": "ByteLevel", "trim_offsets": True, "use_regex": True}
    model = {
        "type": "BPE", "vocab": vocabulary, "merges": [], "dropout": None, "unk_token": None,
        "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
        "byte_fallback": False, "ignore_merges": False,
    }  # fmt: skip
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {**bytes_as_text, "add_prefix_space": False},
        "post_processor": None,
        "decoder": {**bytes_as_text, "add_prefix_space": True},
        "model": model,
    }


def _encoder_model(ids: dict[str, int]) -> dict[str, Any]:
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "vision_token_id": ids["<|vision_pad|>"],
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "hidden_act": "silu",
        "hidden_size": 256,
        "intermediate_size": 512,
        "max_position_embeddings": 2048,
        "max_window_layers": 2,
        "num_attention_heads": 8,
        "num_hidden_layers": 2,
        "num_key_value_heads": 4,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1e6,
        "sliding_window": 1024,
        "use_sliding_window": False,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "rope_scaling": {"type": "mrope", "mrope_section": [4, 6, 6], "rope_type": "default"},
        "vocab_size": 512,
        "vision_config": {
            "model_type": "qwen2_5_vl",
            "depth": 2,
            "hidden_act": "silu",
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_heads": 4,
            "in_chans": 3,
            "in_channels": 3,
            "out_hidden_size": 256,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "spatial_patch_size": 14,
            "window_size": 112,
            "fullatt_block_indexes": [1],
            "tokens_per_second": 2,
            "temporal_patch_size": 2,
        },
    }


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1))
