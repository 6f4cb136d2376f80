"""As in vLLM; see the docstring of `vllm`."""
