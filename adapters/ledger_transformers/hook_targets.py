"""The functions of transformers that are hooked, as a table that tests compare with its sources.

A row with a `stage` is all that a stage needs; what is more than one stage has a `hook`, by the name of a
method. None of these functions is called for each token, save the one whose original is put back after its
first call.
"""

from typing import Final

from ledger_engine.hook_targets import HookTable, HookTarget

_MODELING: Final = "transformers.modeling_utils"
_GENERATION: Final = "transformers.generation.utils"
_STOPPING: Final = "transformers.generation.stopping_criteria"

TABLE: Final = HookTable(
    engine="transformers",
    package="transformers",
    oldest="5.0.0",
    newest="5.24.0",
    targets=(
        # Loading
        HookTarget(_MODELING, "PreTrainedModel.from_pretrained", hook="model_load"),
        HookTarget(_MODELING, "PreTrainedModel.get_init_context", hook="model_init"),
        HookTarget(_MODELING, "PreTrainedModel._load_pretrained_model", stage="weights_load"),
        # The compile of a model that generates
        HookTarget(
            _MODELING, "PreTrainedModel.get_compiled_call", hook="torch_compile", reads=("compile_config",)
        ),
        # The first run and the first token
        HookTarget(_GENERATION, "GenerationMixin.generate", hook="first_run", reads=("assistant_model",)),
        HookTarget(_STOPPING, "StoppingCriteriaList.__call__", hook="first_token", is_once=True),
    ),
    stages={},
)
