"""Recording from the birth of a process: all that can be recorded before `ledger` itself is imported.

The recorder rests on it as well, so that a process has one journal and one numbering from its start to its
end. Nothing here imports more than the interpreter has loaded or built in by the time that it runs `.pth`
files, and the package has a name of its own: a program may have a module called `ledger` itself.

PYTEST_DONT_REWRITE: else pytest warns, where a program imports this before it runs pytest.
"""

import time

BEGAN_NS = time.perf_counter_ns()
"""When this package began to run: where the start-up hook imported it, the interpreter was ready then."""

__version__ = "0.1.0"
