"""What a process is called, by what its interpreter was started with and what has become known since."""

import sys

import pytest

from ledger_birth.environment import process_name, program


@pytest.mark.parametrize(
    ("arguments", "expected", "name"),
    [
        ((), ("", ""), "python"),
        (("-",), ("", ""), "python"),
        (("train.py", "-m", "x"), ("script", "train.py"), "train.py"),
        (("/usr/bin/vllm", "serve"), ("script", "/usr/bin/vllm"), "vllm"),
        (("-u", "-W", "error", "-Xdev", "-X", "dev", "-Wd", "a.py"), ("script", "a.py"), "a.py"),
        (("--check-hash-based-pycs", "always", "--x", "a.py"), ("script", "a.py"), "a.py"),
        (("-m", "torch.distributed.run", "a.py"), ("-m", "torch.distributed.run"), "torch.distributed.run"),
        (("-Im", "pytest"), ("-m", "pytest"), "pytest"),
        (("-mpytest", "-c", "x"), ("-m", "pytest"), "pytest"),
        (("-c", "print()", "a.py"), ("-c", "print()"), "python"),
        (("-Bcprint()",), ("-c", "print()"), "python"),
        (("folder/",), ("script", "folder/"), "folder"),
        (("-m",), ("-m", ""), "python"),
        (("-W",), ("", ""), "python"),
        (
            ("-c", "from multiprocessing.spawn import spawn_main; spawn_main()", "--multiprocessing-fork"),
            ("-c", "from multiprocessing.spawn import spawn_main; spawn_main()"),
            "spawn",
        ),
    ],
)
def test_a_process_is_called_like_its_program(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], expected: tuple[str, str], name: str
) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python3", *arguments])
    monkeypatch.delattr(sys, "argv")
    assert program() == expected
    assert process_name() == name


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["/site-packages/torch/distributed/run.py", "x"], "torch.distributed.run"),
        (["/site-packages/torch/distributed/run/__main__.py"], "torch.distributed.run"),
        (["-m"], "torch.distributed.run"),
        (["train.py"], "train.py"),
    ],
)
def test_a_module_that_runs_a_script_is_called_like_the_script(
    monkeypatch: pytest.MonkeyPatch, argv: list[str], name: str
) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python3", "-m", "torch.distributed.run", "train.py"])
    monkeypatch.setattr(sys, "argv", argv)
    assert process_name() == name
