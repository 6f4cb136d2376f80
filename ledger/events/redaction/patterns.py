"""What in a text tells a host, a user or a place: the patterns, and the words with a slash that tell nothing.

Rather too much than too little: what has a slash between its letters is a path, and a path in running text
goes on to the end of its clause, since a path may have spaces.
"""

import ipaddress
import re
import sys
from functools import cache, lru_cache
from typing import Final, Literal, get_args

from ledger.engines import installed_engines

Kind = Literal[
    "path", "file", "url", "host", "user", "address", "boot", "namespace", "id", "process", "digest",
    "module", "code", "value",
]  # fmt: skip


def public_modules() -> frozenset[str]:
    """Return the packages whose modules may be named: Python's own, and well-known ones."""
    return _PUBLIC_MODULES | sys.stdlib_module_names


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


PLACEHOLDER: Final = rf"<(?:(?:{'|'.join(get_args(Kind))})-\d+|secret)>"
ROOT: Final = (
    r"(?:~[A-Za-z_][\w.-]*(?=[/\\])|~(?=[/\\])|[A-Za-z]:[/\\]|\.{1,2}[/\\](?=\S)"
    r"|\\{2,9}(?=[\w.])|/{1,9}(?=[^\s/]))"
)
"""How a path begins that says where it begins, so that it may have spaces in it."""
CLAUSE_ENDS: Final = (
    r"(?:(?:[)\]}\"'`,;:.!?|]|(?<!\d)>){1,9}(?:\s|$)|\s{1,9}(?:took|takes|in|after|for)\s{1,9}\d"
    r"|\s{1,9}(?:\.{0,2}/|\.{1,2}\\|~[\w/\\]|[A-Za-z]:[/\\]|\\\\)|\s{0,99}$)"
)
INSIDE: Final = rf"(?P<inside>{PLACEHOLDER}[/\\](?:(?!{CLAUSE_ENDS})[^\r\n])*)"
"""What is in a folder that has its placeholder already."""
_IN_TOKEN: Final = r"\w.+@%~$#&*!?-"
URL: Final = r"(?P<url>(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'`<>]*)"
QUOTED: Final = (
    rf"(?P<quoted>(?P<quote>(?<!\\)\\{{0,9}}[\"'`])(?P<inner>{ROOT}(?s:.*?))"
    r"(?P<closing>(?<!\\)(?P=quote)(?!\w)|\Z))"
)
ROOTED: Final = rf"(?P<rooted>(?<!\w){ROOT}(?:(?!{CLAUSE_ENDS})[^\r\n])*)"
TOKEN: Final = rf"(?P<token>(?<![{_IN_TOKEN}])[{_IN_TOKEN}]+(?:/|\\{{1,9}}(?=[\w.]))[^\s\"'`<>|]*)"
HOME: Final = r"(?P<home>(?<!\w)~[A-Za-z_][\w.-]*)"
EMAIL: Final = r"(?P<email>(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
ID: Final = (
    r"(?P<id>(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
    r"|(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2})(?![0-9A-Za-z]))"
)
"""Of a GPU (`CUDA_VISIBLE_DEVICES` may have it), of a network card."""
ADDRESS: Final = (
    r"(?P<address>(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)"
    r"|(?<!\w)(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{1,4})(?!\w|:\w)"
    r"|(?<!\w)(?:[0-9A-Fa-f]{1,4}:){1,7}:(?![\w:]))"
)
DOMAIN: Final = (
    r"(?P<domain>(?<![\w.@-])(?i:(?:[a-z0-9][a-z0-9-]*\.)+"
    r"(?:com|net|org|edu|gov|internal|intranet|corp|lan|local|localdomain|arpa)"
    r"|(?:[a-z0-9][a-z0-9-]*\.){2,}(?:io|ai|dev|cloud|home|private|svc)"
    r"|ip(?:-\d{1,3}){4}(?:\.[a-z0-9-]+)*)(?![\w-]|\.\w))"
)
"""A host that nobody named as one, by how such names end; the names of modules have dots as well."""

USER: Final = re.compile(
    r"[/\\](?i:home|homes|users?)[/\\]{1,9}(?P<in_path>[^/\\\r\n]+(?=[/\\])|[^\s/\\\"'`]+)"
    r"|(?<!\w)~(?P<tilde>[A-Za-z_][\w.-]*)"
    # The folder that torch caches in, where nobody names another one, and pytest's.
    r"|torchinductor_(?P<torch>[^/\\\s\"']+)|pytest-of-(?P<pytest>[^/\\\s]+)"
)
SERVER: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?(?://|\\\\+)(?:[^/\\@]*@)?([^/\\:]+)")
PUNCTUATION: Final = ".,;:!?)]}"
SAYS_NOTHING: Final = re.compile(
    r"|-?\d{1,4}|(?i:true|false|yes|no|on|off|none|auto|localhost|0\.0\.0\.0|127(?:\.\d+){3}|::1?)"
)
DIGEST: Final = re.compile(r"[0-9a-f]{8,64}")
"""Of a path or an address, it can be guessed at: there are not so many."""
VERSION: Final = re.compile(r"v?\d+(?:\.\d+)*[0-9A-Za-z.]*(?:[+-][\w.]+)?")
IS_CODE: Final = re.compile(r"[{}()\[\]\n;\"']")
_FRACTION: Final = re.compile(r"[\d.?!_-]+(?:/[\d.?!_-]+)+")
_RATE: Final = re.compile(
    r"[\d.?%]*[A-Za-z]+/(?:s|sec|second|min|h|ms|us|it|iter|step|token|req|request|rank|GPU)"
)
_PUBLIC_PACKAGES: Final = ("torch", "triton")
_REVISION: Final = re.compile(r"[\w.-]+(?::[\w.-]+)?")
_PAIRS: Final = words(
    """
    and/or CPU/GPU decode/prefill draft/target encoder/decoder hit/miss I/O i/o input/output key/value K/V k/v
    load/compile n/a N/A on/off prefill/decode profiling/warmup read/write send/recv start/stop TCP/IP
    top-p/top-k true/false w/ w/o yes/no
    """
)
_PUBLIC_MODELS: Final = words(
    """
    01-ai ai21labs alibaba-nlp allenai amazon answerdotai apple arcee-ai baai baidu baichuan-inc bigcode
    bigscience bytedance-seed cohereforai coherelabs databricks deepseek-ai eleutherai facebook google
    huggingfacem4 huggingfacetb ibm-granite intfloat internlm jinaai lgai-exaone liquidai llava-hf lmsys
    meta-llama microsoft minimaxai mistralai moonshotai naver-clova-ix neuralmagic nomic-ai nousresearch
    nvidia openai openai-community openbmb opengvlab qwen redhatai salesforce sentence-transformers
    stabilityai stepfun-ai tencent thudm tiiuae tinyllama unsloth upstage xai-org xiaomimimo yuhuili zai-org
    """
)
"""Who publishes models: `Qwen/Qwen2.5-VL-3B-Instruct` is worth knowing, and no folder of anybody's."""
_PUBLIC_MODULES: Final = words(
    """
    __main__ _distutils_hack aiohttp certifi cloudpickle compile_ledger compressed_tensors cv2 datasets
    fastapi filelock flashinfer functorch google grpc httpx huggingface_hub jaraco jinja2 jsonschema
    jsonschema_specifications ledger ledger_torch ledger_vllm llvmlite loguru mistral_common
    more_itertools mpmath msgspec multipart networkx numba numpy nvidia openai opentelemetry outlines
    packaging pandas pkg_resources prometheus_client psutil pyarrow pydantic pydantic_core
    pydantic_extra_types ray referencing regex requests safetensors scipy sentencepiece setuptools
    sklearn starlette sympy tabulate tiktoken tokenizers torch torchaudio torchvision tqdm transformers
    triton typing_extensions urllib3 uvicorn uvloop wcwidth xgrammar yaml zmq
    """
)
"""Packages that anybody may install: that one of them was imported tells nothing of whose program it was."""
_KINDS_BY_KEY: Final[dict[str, Kind]] = {
    **dict.fromkeys(words("host hosts hostname addr address addresses ip ips endpoint"), "host"),
    **dict.fromkeys(words("user username login logname owner"), "user"),
    **dict.fromkeys(words("path paths dir dirs directory folder file filename root home cwd"), "path"),
}


@lru_cache(1_000)
def kind_by_key(key: str) -> Kind | None:
    """Return what a value is, by the last word of its key: `ENGINE_HOST_IP`, `--download-dir`."""
    found = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", key).lower())
    return _KINDS_BY_KEY.get(found[-1]) if found else None


def has_separator(text: str) -> bool:
    """Tell whether there may be a path in a text at all."""
    return "/" in text or "\\" in text


def is_no_path(token: str) -> bool:
    """Tell whether a word with a slash is a fraction, a rate, a pair, public code, or a public model."""
    organisation, _, model = token.partition("/")
    is_public_model = organisation.lower() in _PUBLIC_MODELS and _REVISION.fullmatch(model) is not None
    shapes = (_FRACTION, _RATE, _public_code())
    return token in _PAIRS or is_public_model or any(shape.fullmatch(token) for shape in shapes)


@cache
def _public_code() -> re.Pattern[str]:
    """Return the pattern of files in the sources of torch and of the engines, which are everybody's."""
    packages = "|".join((*_PUBLIC_PACKAGES, *(re.escape(engine.package) for engine in installed_engines())))
    return re.compile(rf"(?:site-packages/)?(?:{packages})(?:\._?\w+)*/[\w./-]+")


def is_machines(address: str) -> bool:
    """Tell whether it is an address, and of one machine: not of whichever machine this is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_loopback or parsed.is_unspecified)


_SEEMING_END: Final = re.compile(rf"{CLAUSE_ENDS}(?s:.)|[\r\n]")


def odd_from(text: str) -> int | None:
    """Return where a path or a name, in running text, would seem to end before it does; None if nowhere."""
    return None if (found := _SEEMING_END.search(text)) is None else found.end()
