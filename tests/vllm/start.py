"""Starts vLLM once on the CPU, with random weights, and generates four tokens.

Usage: python start.py MODEL [--stock] [--kv-cache-bytes N]

--stock leaves vLLM as it is, so that it compiles in the mode that it has for CPUs.

Says at the end how long it was from the start of its process until the engine could be asked.
"""

import argparse
import os
import time
from pathlib import Path


def main() -> None:
    """Start, generate, leave."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--stock", action="store_true")
    parser.add_argument("--kv-cache-bytes", type=int, default=1 << 30)
    given = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    if not given.stock:
        os.environ["COMPILE_ON_CPU"] = "1"
    from vllm import LLM, SamplingParams

    has_encoder = (given.model / "preprocessor_config.json").exists()
    # With sizes, vLLM's backend on a CPU would know no range to compile for.
    compilation = {} if given.stock else {"mode": 3, "compile_sizes": []}
    encoder = {}
    if has_encoder:
        compilation["compile_mm_encoder"] = True
        encoder = {"limit_mm_per_prompt": {"image": 1, "video": 0}}
    llm = LLM(
        model=str(given.model),
        load_format="dummy",
        skip_tokenizer_init=not has_encoder,
        max_model_len=256,
        max_num_seqs=2,
        dtype="bfloat16",
        kv_cache_memory_bytes=given.kv_cache_bytes,
        compilation_config=compilation,
        **encoder,
    )
    age_s = _age_s()
    parameters = SamplingParams(max_tokens=4, detokenize=has_encoder)
    (output,) = llm.generate({"prompt_token_ids": [1, 5, 7]}, parameters)
    print("tokens:", list(output.outputs[0].token_ids))
    print(f"ready after: {age_s:.3f} s")


def _age_s() -> float:
    """Return how long ago the kernel started this process, by another clock than the recorder's."""
    started = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(started) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
