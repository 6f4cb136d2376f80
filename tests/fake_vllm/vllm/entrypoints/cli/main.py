"""As in vLLM: the command `vllm`, which reads its command line and then serves until it is stopped."""

import asyncio

from fake_work import work


def main() -> None:
    from vllm.entrypoints.launchers.api_server.entry import run_server
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    work("subcommands")
    parser = FlexibleArgumentParser()
    parser.add_argument("--fails", action="store_true")
    args = parser.parse_args()
    asyncio.run(run_server(args))
