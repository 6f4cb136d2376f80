"""The functions of an engine that are hooked, as a table that tests compare with the engine's sources."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HookTarget:
    """A function of an engine that is hooked: as one stage, or with a hook of the adapter's own."""

    module: str
    name: str
    """Within the module: `CompilerManager.compile`."""
    stage: str | None = None
    """The stage that a call of it is."""
    hook: str | None = None
    """The name of the adapter's hook, where there is more to record than one stage."""
    reads: tuple[str, ...] = ()
    """The parameters that the hook can't do without."""
    is_context: bool = False
    """Whether the function makes context managers."""
    is_once: bool = False
    """Whether the original function is put back after the first call: for what is called for each token."""
    is_startup: bool = False
    """Whether the original is put back when the engine is ready: for what a served request calls as well."""
    since: str | None = None
    """The first version that has it, where another target stands in for the versions before."""
    until: str | None = None
    """The first version that has it no more, where another target stands in for it from then on."""

    def __post_init__(self) -> None:
        if (self.stage is None) == (self.hook is None):
            raise ValueError(f"{self.where}: a hook target has either a stage or a hook")

    @property
    def where(self) -> str:
        """The dotted name of the function."""
        return f"{self.module}.{self.name}"

    @property
    def records(self) -> str:
        """What is not recorded where the function can't be hooked: its stage, or the name of its hook."""
        return self.stage or self.hook or ""

    def fault(self, parameters: Collection[str] | None) -> str | None:
        """Return why a function with these parameters can't be hooked; None where it can."""
        if parameters is None:
            return "there is no such function"
        lacking = [name for name in self.reads if name not in parameters]
        return f"it has no parameter {', '.join(lacking)}" if lacking else None


@dataclass(frozen=True, slots=True)
class HookTable:
    """All hook targets of one engine, and the versions whose sources they were compared with."""

    engine: str
    """The engine's name, as it writes it: vLLM."""
    package: str
    """The package that its modules are in: vllm."""
    oldest: str
    newest: str
    """Tests keep the signatures of these two versions, and of all that matter between them."""
    targets: tuple[HookTarget, ...]
    stages: Mapping[str, str]
    """The activities of the stages that are not in ledger's vocabulary."""

    @property
    def own_targets(self) -> tuple[HookTarget, ...]:
        """The targets in the engine's own package: some are in torch's."""
        return tuple(target for target in self.targets if target.module.startswith(f"{self.package}."))
