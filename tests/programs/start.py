"""Starts as a small engine does: loads an encoder and a language model, compiles, warms up, and is ready."""

from ledger import Recorder

recorder = Recorder.from_environment()
with recorder.stage("engine_init", source="engine"):
    with recorder.stage("process_start", source="engine"):
        import torch

        from ledger_torch import demo
    with recorder.stage("model_load", source="engine"):
        # Waiting threads of a pool would take the few cores that other programs want as well.
        torch.set_num_threads(1)
        parts = {
            "encoder": (demo.VisionEncoder().eval(), torch.zeros(1, 3, 32, 32)),
            "language_model": (demo.DecoderLM().eval(), torch.zeros(1, 16, dtype=torch.int64)),
        }
    with torch.no_grad():
        for role, (model, inputs) in parts.items():
            name = type(model).__name__
            compiled = torch.compile(model)
            with recorder.stage("torch_compile", role=role, source="monitor", component=name):
                compiled(inputs)
            with recorder.stage("warmup", role=role, source="engine", component=name):
                for _ in range(10):
                    compiled(inputs)
recorder.milestone("engine_ready")
