"""As in vLLM: a step's outputs, by client. The first step has read the prompt, and gives no token yet."""

from dataclasses import dataclass, field


@dataclass
class EngineCoreOutput:
    new_token_ids: list[int]


@dataclass
class EngineCoreOutputs:
    outputs: list[EngineCoreOutput] = field(default_factory=list)


class Scheduler:
    def __init__(self) -> None:
        self.steps = 0

    def update_from_output(
        self, scheduler_output: object, model_runner_output: object
    ) -> dict[int, EngineCoreOutputs]:
        self.steps += 1
        if self.steps == 1:
            return {}
        return {0: EngineCoreOutputs([EngineCoreOutput([7])])}
