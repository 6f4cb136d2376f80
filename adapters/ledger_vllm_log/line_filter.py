"""Which lines of a log may matter that vLLM wrote."""

import re
from typing import Final

from ledger_log_lines.line_filter import LineFilter
from ledger_vllm_log.message_meaning import search_line, search_other
from ledger_vllm_log.records import has_record

LINES: Final = LineFilter(
    search_line,
    marks=(b"INFO ", b"INFO\x1b", b"WARNING", b"ERROR", b"DEBUG", b"CRITICAL", b'"asctime"'),
    stamp=re.compile(rb"""[A-Z]+(?:\x1b\[[\d;]*m|[ *])+\d\d-\d\d \d\d:|"asctime" ?: ?"\d"""),
    has_record=has_record,
    passed_over=search_other,
)
