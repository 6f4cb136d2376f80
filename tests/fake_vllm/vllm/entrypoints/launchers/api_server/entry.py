"""As in vLLM from 0.29 on: an API server, here of an app that stops it at its first request."""

import argparse
import asyncio
import socket
import threading
from typing import Any
from urllib.request import urlopen

import uvicorn
from fake_work import work

from vllm.config import VllmConfig
from vllm.engine.arg_utils import EngineArgs
from vllm.v1.engine.core_client import MPClient
from vllm.v1.executor.abstract import UniProcExecutor


async def run_server(args: argparse.Namespace, **uvicorn_kwargs: Any) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    await run_server_worker("127.0.0.1", sock, args, **uvicorn_kwargs)


async def run_server_worker(
    listen_address: str,
    sock: socket.socket,
    args: argparse.Namespace,
    client_config: dict[str, str] | None = None,
    **uvicorn_kwargs: Any,
) -> None:
    config = EngineArgs(VllmConfig()).create_engine_config()
    if client_config:
        MPClient(True, config, UniProcExecutor, False, client_addresses=client_config)
    await build_and_serve(None, listen_address, sock, args, **uvicorn_kwargs)


async def build_and_serve(
    engine_client: object,
    listen_address: str,
    sock: socket.socket,
    args: argparse.Namespace,
    **uvicorn_kwargs: Any,
) -> None:
    work("app")
    if args.fails:
        raise RuntimeError("the app can't be built")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        server.should_exit = True

    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error", **uvicorn_kwargs))
    # The socket takes connections before the server does: this one waits until it can be answered.
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    asked = threading.Thread(target=lambda: urlopen(url).close())
    asked.start()
    await asyncio.get_running_loop().create_task(server.serve(sockets=[sock]))
    asked.join()
