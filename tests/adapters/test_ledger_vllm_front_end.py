"""vLLM's front end as the recorder sees it: from the command line until the first request can be served."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fake_vllm.driver import Recording, record, run
from tests.support.paths import ROOT

FROM_IMPORT = {"FAKE_TORCH_AUTOLOAD": "1"}
SERVE = "from vllm.entrypoints.cli.main import main\nsys.argv[1:] = {arguments!r}\n"


def names(start: Recording) -> list[str]:
    return [str(row["name"]) for row in start.milestones]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A script that makes an LLM, whose model's class is looked up first."""
    return record(tmp_path_factory.mktemp("made"), "LLM(VllmConfig(), looks_model_up=True)", **FROM_IMPORT)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """The command `vllm`, which serves until it has been asked once."""
    body = SERVE.format(arguments=[]) + "main()"
    return record(tmp_path_factory.mktemp("served"), body, script="vllm", **FROM_IMPORT)


class TestScript:
    def test_it_can_be_asked_when_its_llm_is_made(self, made: Recording) -> None:
        assert names(made) == ["engine_ready", "server_ready"]
        begun = made.one("front_end_start")
        [ready] = [row for row in made.milestones if row["name"] == "server_ready"]
        assert begun.start_ns < ready["at_ns"] < begun.stop_ns
        assert made.one("renderer_warmup").stop_ns < ready["at_ns"]

    def test_all_that_it_does_is_within_its_start(self, made: Recording) -> None:
        begun = made.one("front_end_start")
        own = [i for i in made.intervals if i.process == begun.process and i.stage != "front_end_start"]
        assert {i.stage for i in own} > {"plugins_load", "configuration", "tokenizer_load", "engine_start"}
        assert [i.stage for i in own if not begun.start_ns <= i.start_ns <= i.stop_ns <= begun.stop_ns] == []

    def test_plugins_and_a_tokenizer_are_loaded_once(self, made: Recording) -> None:
        # vLLM asks for its plugins in every part of it, and for the tokenizer in each thing that uses it.
        front_end, looks_up = made.of("plugins_load")
        assert front_end.parent == made.one("front_end_start").interval
        assert looks_up.process != front_end.process
        assert made.one("tokenizer_load").parent == made.one("renderer_init").interval

    def test_the_process_that_looks_a_model_up_is_waited_for(self, made: Recording) -> None:
        [waited] = made.of("waiting")
        assert waited.data["for"] == "the model's class"
        assert (waited.activity, waited.role, waited.source) == ("startup", None, "engine")
        [looked] = [row for row in made.processes.values() if str(row["name"]).endswith("registry")]
        assert waited.data["child_pid"] == looked["pid"]

    def test_the_module_that_starts_that_process_is_left_as_it_was(self, tmp_path: Path) -> None:
        body = (
            "import subprocess\nfrom vllm.model_executor.models import registry\n"
            "registry._SUBPROCESS_COMMAND = [sys.executable, '-c', 'import sys; sys.exit(3)']\n"
            "try:\n    registry.inspect_model_cls()\nexcept RuntimeError as error:\n"
            "    print(type(error.__cause__).__module__, type(error.__cause__).__name__)\n"
            "print(registry.subprocess is subprocess)\n"
        )
        start = record(tmp_path, body, **FROM_IMPORT)
        assert start.printed == "subprocess CalledProcessError\nTrue\n"
        assert (start.one("waiting").outcome, start.one("waiting").error) == ("failed", "RuntimeError")

    def test_what_vllm_gets_over_does_not_fail_the_process(self, tmp_path: Path) -> None:
        body = "FAULTS['renderer'] = ValueError('no template')\nLLM(VllmConfig())"
        start = record(tmp_path, body, **FROM_IMPORT)
        assert [row["outcome"] for row in start.processes.values()] == ["completed"]

    def test_a_failed_start_is_never_ready(self, tmp_path: Path) -> None:
        body = (
            "FAULTS['init_device'] = ValueError('no device')\n"
            "try:\n    LLM(VllmConfig())\nexcept ValueError:\n    pass\n"
        )
        start = record(tmp_path, body, **FROM_IMPORT)
        assert names(start) == []
        assert start.one("front_end_start").outcome == "failed"


class TestServer:
    def test_it_is_ready_when_it_takes_connections(self, served: Recording) -> None:
        assert names(served) == ["server_ready"]
        [ready] = served.milestones
        server, front_end = served.one("server_start"), served.one("front_end_start")
        assert front_end.start_ns < server.start_ns < ready["at_ns"] < server.stop_ns < front_end.stop_ns
        assert {i.outcome for i in served.intervals} == {"completed"}

    def test_its_stages_follow_each_other_without_holes_that_nobody_knows(self, served: Recording) -> None:
        stages = [(i.stage, i.data.get("of")) for i in served.intervals if i.stage != "process_start"]
        assert stages == [
            ("configuration", "command line"),
            ("front_end_start", None),
            ("configuration", None),
            ("model_config", None),
            ("server_start", None),
        ]

    def test_one_of_several_servers_waits_for_the_engine_that_another_process_starts(
        self, tmp_path: Path
    ) -> None:
        body = (
            "import argparse, asyncio, socket\nfrom vllm.entrypoints.launchers.api_server import entry\n"
            "sock, args = socket.create_server(('127.0.0.1', 0)), argparse.Namespace(fails=False)\n"
            "asyncio.run(entry.run_server_worker('127.0.0.1', sock, args, {'input_address': 'ipc'}))\n"
        )
        start = record(tmp_path, body, **FROM_IMPORT)
        before, after = start.of("front_end_start")
        waited = start.one("waiting")
        assert before.stop_ns <= waited.start_ns < waited.stop_ns <= after.start_ns
        assert waited.data == {"for": "the engine"}
        assert after.start_ns < start.one("server_start").start_ns < after.stop_ns
        assert names(start) == ["server_ready"]
        assert {i.outcome for i in start.intervals} == {"completed"}

    def test_a_server_that_fails_is_never_ready(self, tmp_path: Path) -> None:
        body = (
            SERVE.format(arguments=["--fails"])
            + "try:\n    main()\nexcept RuntimeError as e:\n    print(e)\n"
        )
        start = record(tmp_path, body, script="vllm", **FROM_IMPORT)
        assert start.printed == "the app can't be built\n"
        assert start.milestones == []
        failed = [(i.stage, i.error) for i in start.intervals if i.outcome == "failed"]
        assert failed == [("front_end_start", "RuntimeError"), ("server_start", "RuntimeError")]

    def test_a_command_line_that_is_wrong_is_a_failed_configuration(self, tmp_path: Path) -> None:
        body = (
            SERVE.format(arguments=["--unknown"])
            + "try:\n    main()\nexcept SystemExit as e:\n    print(e.code)\n"
        )
        start = record(tmp_path, body, script="vllm", **FROM_IMPORT)
        assert start.printed == "2\n"
        assert start.one("configuration").error == "SystemExit"

    def test_another_server_of_the_same_process_is_not_vllm_s(self, tmp_path: Path) -> None:
        body = (
            "import asyncio, uvicorn\n"
            "async def start():\n"
            "    server = uvicorn.Server(uvicorn.Config(print, port=0, lifespan='off', log_level='error'))\n"
            "    server.config.load()\n"
            "    server.lifespan = server.config.lifespan_class(server.config)\n"
            "    await server.startup()\n"
            "    await server.shutdown()\n"
            "asyncio.run(start())\nLLM(VllmConfig())\n"
        )
        assert names(record(tmp_path, body, **FROM_IMPORT)) == ["engine_ready", "server_ready"]


class TestCoordinator:
    def test_it_is_started_and_waited_for(self, tmp_path: Path) -> None:
        body = (
            "from vllm.v1.engine.coordinator import DPCoordinator\ncoordinator = DPCoordinator(None)\n"
            "print(coordinator.proc.pid, *coordinator.addresses)\n"
        )
        start = record(tmp_path, body, **FROM_IMPORT)
        pid, *addresses = start.printed.split()
        assert addresses == ["front", "input", "output"]
        waited, spawned = start.one("waiting"), start.one("process_spawn")
        assert waited.data == {"for": "the coordinator", "child_pid": int(pid)}
        assert spawned.data["child_pid"] == int(pid)
        assert waited.parent == spawned.interval


class TestAutoload:
    def run(self, code: str, **environment: str) -> str:
        others = {k: v for k, v in os.environ.items() if not k.startswith("COMPILE_LEDGER")}
        command = [sys.executable, "-c", code]
        how: dict[str, Any] = {"capture_output": True, "text": True, "check": True, "cwd": ROOT}
        return subprocess.run(command, env={**others, **environment}, **how).stdout

    def test_where_recording_is_off_nothing_is_imported(self) -> None:
        code = (
            "import sys, os; before = set(sys.modules); import ledger_vllm.autoload as it; it.activate();"
            "print(sorted(set(sys.modules) - before))"
        )
        assert self.run(code) == "['ledger_vllm', 'ledger_vllm.autoload']\n"

    def test_a_program_without_vllm_has_no_hooks(self, tmp_path: Path) -> None:
        code = (
            "import sys, ledger_vllm.autoload as it; it.activate(); print('ledger_vllm.hooks' in sys.modules)"
        )
        assert self.run(code, COMPILE_LEDGER=str(tmp_path / "startup.db")) == "False\n"

    def test_a_failure_of_ours_is_a_warning(self, tmp_path: Path) -> None:
        body = (
            "import ledger_engine.imports, ledger_vllm.autoload as it\n"
            "ledger_engine.imports.when_imported = None\nit.activate()\nprint('started')"
        )
        done = run(tmp_path, body)
        assert done.stdout == "started\n"
        assert "vLLM is not recorded from its beginning: TypeError" in done.stderr
