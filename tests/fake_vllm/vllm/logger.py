"""As in vLLM: one logger for all of its modules, which does not propagate, configured by dictConfig."""

import logging
import os
from dataclasses import dataclass
from functools import lru_cache
from logging.config import dictConfig
from typing import Any

from vllm import is_at_least


@dataclass(frozen=True)
class LoggingConfig:
    """As in vLLM, from 0.32 on."""

    log_level: str = os.environ.get("VLLM_LOGGING_LEVEL", "INFO")


_last_configured_logging_config: LoggingConfig | None = None


def _configure_vllm_root_logger(config: LoggingConfig | None = None) -> None:
    level = (config or LoggingConfig()).log_level
    handler = {"class": "logging.StreamHandler", "level": level, "stream": "ext://sys.stderr"}
    dictConfig(
        {
            "handlers": {"vllm": handler},
            "loggers": {"vllm": {"handlers": ["vllm"], "level": level, "propagate": False}},
            "version": 1,
            "disable_existing_loggers": False,
        }
    )


def configure_logging(config: LoggingConfig) -> None:
    global _last_configured_logging_config
    _configure_vllm_root_logger(config)
    _last_configured_logging_config = config


def configure_logging_if_needed(config: LoggingConfig) -> None:
    if is_at_least("0.32.0") and config != _last_configured_logging_config:
        configure_logging(config)


@lru_cache
def _print_info_once(logger: logging.Logger, msg: str, *args: Any) -> None:
    logger.info(msg, *args, stacklevel=3)


class VllmLogger:
    """Instead of the methods that vLLM patches onto a logger."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self.info = logger.info
        self.warning = logger.warning
        self.exception = logger.exception

    def info_once(self, msg: str, *args: Any, scope: str = "local") -> None:
        _print_info_once(self._logger, msg, *args)

    def info_of(self, prefix: str, msg: str, *args: Any) -> None:
        """Log once per message, or, from 0.32 on, each time and behind the component: as vLLM changed all."""
        if is_at_least("0.32.0"):
            self._logger.info("%s" + msg, prefix, *args)
        else:
            self.info_once(msg, *args)


def init_logger(name: str) -> VllmLogger:
    return VllmLogger(logging.getLogger(name))


_configure_vllm_root_logger()
