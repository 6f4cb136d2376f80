"""Keys, tokens and passwords are taken out of commands and texts; what only looks like one stays."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from ledger_birth.secret_names import is_secret_name
from ledger_birth.secrets_hidden import (
    HIDDEN,
    hide_in_command,
    hide_in_environment,
    hide_secrets,
    may_have_secret,
    values_of_secret_variables,
)
from tests.support.growth import assert_linear
from tests.support.paths import DATA

SECRET = "zq9wCanary7"
SHAPED = {
    "OpenAI": "sk-proj-zq9wAbCdEfGh0123456789",
    "Anthropic": "sk-ant-api03-zq9wAbCdEfGh-0123_456789",
    "Hugging Face": "hf_zq9wAbCdEfGhIjKlMnOpQrStUvWxYz0123",
    "GitHub": "ghp_zq9wAbCdEfGhIjKlMnOpQrStUvWxYz012345",
    "GitHub, fine": "github_pat_11AAAAAAA0zq9wAbCdEfGhIj_KlMnOp",
    "GitLab": "glpat-zq9wAbCdEfGhIjKlMn",
    "AWS": "AKIAIOSFODNN7EXAMPLE",
    "Google": "AIzaSyzq9wAbCdEfGhIjKlMnOpQrStUvWxYz012",
    "NVIDIA": "nvapi-zq9wAbCdEfGhIjKlMnOpQrStUvWxYz0123",
    "Groq": "gsk_zq9wAbCdEfGhIjKlMnOpQrStUvWx",
    "Slack": "xoxb-123456789012-zq9wAbCdEfGh",
    "a JSON web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ6cTl3In0.zq9wAbCdEfGhIjKl",
    "a private key": "-----BEGIN RSA PRIVATE KEY-----\nzq9wAbCd\nEfGh==\n-----END RSA PRIVATE KEY-----",
}
FLAGS = dict(line.split() for line in (DATA / "vllm_serve_flags.txt").read_text().splitlines())
"""Every flag of `vllm serve` in its versions 0.19 to 0.33: whether it takes a value, or is a switch."""
SECRET_FLAGS = ("--api-key", "--hf-token")


class TestFlagsOfVllmServe:
    def test_those_that_take_a_secret_are_known(self) -> None:
        assert [flag for flag in FLAGS if is_secret_name(flag)] == list(SECRET_FLAGS)

    @pytest.mark.parametrize("flag", SECRET_FLAGS)
    def test_what_they_take_is_hidden_however_it_is_written(self, flag: str) -> None:
        for name in (flag, flag.replace("-", "_").replace("__", "--")):
            assert hide_in_command(["vllm", "serve", "m", name, SECRET, "--port", "80"]) == (
                "vllm", "serve", "m", name, HIDDEN, "--port", "80",
            )  # fmt: skip
            assert hide_in_command(["serve", f"{name}={SECRET}", "m"]) == ("serve", f"{name}={HIDDEN}", "m")
            assert SECRET not in str(hide_in_command(["sh", "-c", f"vllm serve m {name} {SECRET} && x"]))

    def test_several_keys_are_all_hidden(self) -> None:
        assert hide_in_command(["--api-key", SECRET, f"{SECRET}2", "--port", "80"]) == (
            "--api-key", HIDDEN, HIDDEN, "--port", "80",
        )  # fmt: skip

    def test_a_token_without_a_value_takes_nothing_from_the_option_after_it(self) -> None:
        command = ("vllm", "serve", "m", "--hf-token", "--port", "80")
        assert hide_in_command(command) == command

    @pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag not in SECRET_FLAGS])
    def test_of_all_others_a_value_stays(self, flag: str) -> None:
        for command in ((flag, "8192"), (flag, "Qwen/Qwen2.5"), (f"{flag}=auto", "m"), (flag, '{"a": [1]}')):
            assert hide_in_command(command) == command

    @pytest.mark.parametrize("flag", FLAGS)
    def test_of_each_what_is_shaped_as_a_secret_is_hidden(self, flag: str) -> None:
        key = SHAPED["OpenAI"]
        inside = json.dumps({"extra": {"aws_secret_access_key": SECRET, "n": 1}, "list": [key]})
        for command in (
            (flag, key), (f"{flag}={key}",), (flag, inside), (f"{flag}={inside}",),
            (f"{flag}.extra.secret_key", SECRET), (f"{flag}.extra.password={SECRET}",),
        ):  # fmt: skip
            hidden = str(hide_in_command(command))
            assert SECRET not in hidden, command
            assert key not in hidden, command


class TestCommands:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["docker", "run", "-e", f"OPENAI_API_KEY={SECRET}", "image"],
            ["docker", "run", f"--env=HF_TOKEN={SECRET}", "image"],
            ["docker", "run", f"-eHF_TOKEN={SECRET}", "image"],
            ["env", f"WANDB_API_KEY={SECRET}", "python", "x.py"],
            ["env", f"DB_PASSWORD={SECRET} with blanks", "python"],
            ["curl", "-H", f"Authorization: Bearer {SECRET}", "http://host/x"],
            ["curl", f"--header=X-Api-Key: {SECRET}", "http://host/x"],
            ["curl", "-u", f"me:{SECRET}", "http://host"],
            ["curl", f"https://me:{SECRET}@host/x"],
            ["curl", f"https://host/x?token={SECRET}&y=1"],
            ["curl", f"https://bucket/x?X-Amz-Signature={SECRET}"],
            ["sh", "-c", f"export HF_TOKEN={SECRET}; vllm serve m"],
            ["sh", "-c", f"HF_TOKEN='{SECRET} x' vllm serve --api-key \"{SECRET}\" --port 80"],
            ["python", "-c", f"import os; os.environ['OPENAI_API_KEY'] = '{SECRET}'; import x"],
            ["python", "-c", f"login(token='{SECRET}')"],
            ["python", "-c", f'os.environ.setdefault("HF_TOKEN", "{SECRET}")'],
            ["aws", "configure", "set", "aws_secret_access_key", SECRET],
            ["x", "--password", SECRET],
            ["x", "--dbPassword", SECRET],
            ["x", "--client-secret", SECRET],
            ["x", f"--openai.apiKey={SECRET}"],
            ["x", "--token", SECRET],
            ["x", "--auth-token", SECRET],
            ["x", "--wandb-key", SECRET],
            ["x", "--basic-auth", f"me:{SECRET}"],
            ["x", "--sentry-dsn", f"https://{SECRET}@sentry.io/1"],
            ["x", f'{{"api_key": "{SECRET}", "n": 1}}'],
            ["x", f"{{'credentials': {{'user': '{SECRET}'}}}}"],
            ["sshpass", "-p", SECRET, "ssh", "-p", "22", "host"],
            ["/usr/bin/sshpass", f"-p{SECRET}", "ssh", "host"],
            ["docker", "login", "-u", "me", "-p", SECRET, "registry"],
            ["redis-cli", "-h", "host", "-a", SECRET],
            ["mysql", "-u", "root", f"-p{SECRET}", "db"],
        ],
    )
    def test_a_secret_is_hidden(self, arguments: list[str]) -> None:
        hidden = hide_in_command(arguments)
        assert SECRET not in str(hidden)
        assert len(hidden) == len(arguments)
        assert hidden[0] == arguments[0]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["python", "-u", "train.py", "--lr=0.1", "--seed", "0", "a:b"],
            ["x", "--ssl-keyfile", "/a/key.pem", "--password-file", "/a/b", "--token-path=/c"],
            ["x", "--max-token", "5", "--enable-auth", "yes", "--num-keys", "3", "--cache-key", "abc"],
            ["sh", "-c", 'vllm serve --api-key "$OPENAI_API_KEY" --port 80'],
            ["x", "--stop-token", "</s>", "--sort-key", "name", "--author", "me"],
            ["docker", "run", "-u", "1000:1000", "--user", "1000:100", "image"],
            ["git", "clone", "ssh://git@host/x.git"],
            ["pytest", "-k", "key and token", "tests/test_keys.py::test_token"],
            ["docker", "run", "-p", "8000:8000", "image", "-tp", "2", "-p", "8000"],
            ["vllm", "serve", "model", "-tp", "2", "-pp", "2", "-p", "8000"],
            ["mysql", "-u", "root", "-p", "-P", "3306", "db"],
            ["mkdir", "-p", "a/b"],
        ],
    )
    def test_what_is_none_stays(self, arguments: list[str]) -> None:
        assert hide_in_command(arguments) == tuple(arguments)

    def test_only_the_password_of_the_program_that_takes_one_is_hidden(self) -> None:
        command = ["sshpass", "-p", "1234", "ssh", "-p", "22", "host"]
        assert hide_in_command(command) == ("sshpass", "-p", HIDDEN, "ssh", "-p", "22", "host")

    def test_values_of_variables_are_hidden_wherever_they_stand(self) -> None:
        values = values_of_secret_variables(
            {"MY_API_KEY": "hunter2 and more", "PGPASSWORD": "hunter2", "HF_TOKEN": "", "PWD": "/home/me"}
        )
        assert values == ["hunter2 and more", "hunter2"]
        assert hide_in_command(["x", "--name=hunter2", "a hunter2 and more b"], values) == (
            "x", f"--name={HIDDEN}", f"a {HIDDEN} b",
        )  # fmt: skip

    def test_variables_are_hidden_by_name_and_by_shape(self) -> None:
        assert hide_in_environment(
            {"VLLM_API_KEY": SECRET, "TORCH_LOGS": "+dynamo", "OTHER": SHAPED["AWS"], "HF_TOKEN": ""}
        ) == {"VLLM_API_KEY": HIDDEN, "TORCH_LOGS": "+dynamo", "OTHER": HIDDEN, "HF_TOKEN": ""}


class TestTexts:
    @pytest.mark.parametrize("name", SHAPED)
    def test_a_secret_is_known_by_its_shape(self, name: str) -> None:
        assert hide_secrets(f"took 5 s with {SHAPED[name]} (x)") == f"took 5 s with {HIDDEN} (x)"
        assert SHAPED[name] not in hide_secrets(f"in '{SHAPED[name]}', or so")

    @pytest.mark.parametrize(
        ("text", "left"),
        [
            (
                f"args: {{'model': 'x', 'api_key': ['{SECRET}', 'b'], 'n': 3}}",
                "'api_key': ['<secret>'], 'n': 3}",
            ),
            (
                f'{{\\"api_key\\": \\"{SECRET} x\\", \\"n\\": 1}}',
                '{\\"api_key\\": \\"<secret>\\", \\"n\\": 1}',
            ),
            (f'"password": "a\\"{SECRET}", "n"', '"password": "<secret>", "n"'),
            (f"Authorization: Bearer {SECRET} x\nnext", "Authorization: <secret>\nnext"),
            (f"'Cookie': 'a={SECRET}; b=c'", "'Cookie': '<secret>'"),
            (f"got Bearer {SECRET}, then", "got Bearer <secret>, then"),
            (f"guard L['token'] == '{SECRET}'", "guard L['token'] == '<secret>'"),
            (f"HF_TOKEN={SECRET} vllm", "HF_TOKEN=<secret> vllm"),
            (f"password: {SECRET}", "password: <secret>"),
            (f"token: {SECRET}", "token: <secret>"),
            (f"AccountName=x;AccountKey={SECRET}==;End", "AccountName=x;AccountKey=<secret>;End"),
        ],
    )
    def test_a_secret_is_known_by_its_name(self, text: str, left: str) -> None:
        assert hide_secrets(text).endswith(left)

    @pytest.mark.parametrize(
        "text",
        [
            "torch.compile took 16.77 s in total",
            "first_token: 3 s, 12 tokens/s, max_tokens=5, token budget: 8192 tokens",
            "dispatch key: AutogradCPU, cache key: abc12345, KeyError: 'x'",
            "unexpected token: foo; password is wrong; no secret is here",
            "sorted(xs, key=lambda x: x)",
            "task-based-approach and disk-sector-size-of-4096",
            "https://host/x?y=1, git@host, user@host.org, ssh://git@host/x",
            "passes: 3, bypass=1, fused pass took 5 s, author: me",
            "--api-key $KEY and --api-key=${KEY}",
            "basic Information about Bearer tokens",
        ],
    )
    def test_what_speaks_of_none_stays(self, text: str) -> None:
        assert hide_secrets(text) == text

    def test_what_is_hidden_stays_hidden(self) -> None:
        for text in (
            "--api-key <secret> x",
            "HF_TOKEN=<secret>",
            "Authorization: <secret>",
            "'token': '<secret>'",
        ):
            assert hide_secrets(text) == text

    @pytest.mark.parametrize(
        "piece",
        [
            "api_key='", "token:", "a@://", "://", '\\"key', "api_key=[", "Bearer ", "sk-", "eyJ",
            "password ", "-----BEGIN PRIVATE KEY-----", "password=(", "a.token_", "--api-key ",
            "key", "?sig=", "-",
        ],
    )  # fmt: skip
    def test_it_takes_no_longer_than_the_text_is_long(self, piece: str) -> None:
        def work_on(size: int) -> Callable[[], object]:
            text = piece * size + " key ://@"
            return lambda: hide_secrets(text)

        assert_linear(work_on, 8_000)


def test_the_texts_of_a_start_have_no_hint_and_so_cost_nothing_but_the_look() -> None:
    assert not may_have_secret("vllm serve Qwen/Qwen2.5 --max-num-batched-tokens 8192 --tokenizer x")
    assert not may_have_secret("torch.compile took 16.77 s in total")


def test_a_command_without_a_hint_needs_no_regular_expressions() -> None:
    program = """
import sys
from ledger_birth.secrets_hidden import *
hide_in_command(["vllm", "serve", "m", "--max-num-batched-tokens", "8192", "--api-key", "x"], ["hunter2"])
print("re" in sys.modules)
"""
    ran = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout == "False\n"
