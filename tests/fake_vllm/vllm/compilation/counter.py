"""As in vLLM."""

from types import SimpleNamespace

compilation_counter = SimpleNamespace(num_backend_compilations=0)
