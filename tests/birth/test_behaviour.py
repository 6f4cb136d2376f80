"""Programs behave as without us: each one's output, errors and exit code are the same, recorded or not."""

import re
import signal
import sys

import pytest

from tests.support.births import Program

SLOW = "import time\ntime.sleep(0.03)\n"
"""A module that takes long enough to be recorded, on any machine."""

FILES = {
    "slow_module.py": SLOW,
    "package/__init__.py": SLOW + "from . import inner\n",
    "package/inner.py": SLOW + "class Thing:\n    pass\n",
    "package/fails.py": SLOW + "def fail():\n    raise ValueError('in the module')\nfail()\n",
    "package/around.py": "import package.fails\n",
    "package/missing.py": SLOW + "import no_such_module_anywhere\n",
    "package/syntax.py": "def broken(:\n",
    "package/circular_a.py": SLOW + "from package.circular_b import b\na = 1\n",
    "package/circular_b.py": "import package.circular_a as other\nb = getattr(other, 'a', 'not yet')\n",
    "package/circular_c.py": SLOW + "from package.circular_d import d\nc = 1\n",
    "package/circular_d.py": "from package.circular_c import c\nd = 1\n",
    "package/interrupted.py": SLOW + "raise KeyboardInterrupt\n",
    "package/exits.py": SLOW + "import sys\nsys.exit(7)\n",
    "package/__main__.py": SLOW + "import sys\nprint('main', sys.argv[1:], __name__, __spec__.name)\n",
    "ledger.py": SLOW + "mine = 'a module that is called like ours'\n",
}

PROGRAMS = {
    "an error in a module": "import package.around",
    "a module that is not there": "import package.missing",
    "a module that is no Python": "import package.syntax",
    "a circular import": "import package.circular_a as a, package.circular_b as b; print(a.a, b.b)",
    "a circular import that fails": "import package.circular_c",
    "an interrupted import": "import package.interrupted",
    "an import that exits": "import package.exits",
    "an error that is caught and printed": """
import traceback
for name in ("package.around", "package.missing", "package.syntax", "package.circular_c"):
    try:
        __import__(name)
    except Exception:
        traceback.print_exc()
""",
    "a name that is not in a module": "from package.inner import nothing",
    "an error with its cause": """
try:
    import package.around
except ValueError as error:
    raise RuntimeError("outer") from error
""",
    "what is loaded, in its order": """
import sys
import slow_module, package, json, dataclasses, importlib.metadata, package.inner
OURS = {"atexit", "errno", "itertools"}
print([name for name in sys.modules if name not in OURS and not name.startswith("ledger_birth")])
print(slow_module.__spec__, package.inner.__spec__, package.__path__, slow_module.__loader__.name)
print(slow_module.__file__, package.inner.__package__, sorted(vars(slow_module)))
print(__import__, sys.meta_path, sys.path_hooks, sys.path, sys.argv, sys.flags)
import importlib, builtins
print(importlib.import_module("package.inner") is package.inner, builtins.__import__.__module__)
print(importlib.util.find_spec("package.fails"))
""",
    "importing a name": """
import importlib, sys
inner = importlib.import_module(".inner", "package")
try:
    importlib.import_module(".inner")
except TypeError as error:
    print(error)
sys.modules["blocked"] = None
try:
    import blocked
except ModuleNotFoundError as error:
    print(error)
""",
    "a finder of one's own": """
import sys, importlib.abc, importlib.machinery
class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name == "made_up":
            return importlib.machinery.ModuleSpec(name, self, origin="nowhere")
    def create_module(self, spec): return None
    def exec_module(self, module):
        import time; time.sleep(0.03)
        module.value = 42
sys.meta_path[:] = [Finder(), *sys.meta_path]
import made_up
print(made_up.value, made_up.__spec__)
sys.meta_path.clear()
try:
    import package
except ModuleNotFoundError as error:
    print(repr(error))
""",
    "an `__import__` of one's own": """
import builtins
real = builtins.__import__
def mine(name, *rest, **more):
    print("importing", name)
    return real(name, *rest, **more)
builtins.__import__ = mine
import slow_module
""",
    "a lazy module": """
import importlib.util, sys
spec = importlib.util.find_spec("package.inner")
loader = importlib.util.LazyLoader(spec.loader)
spec.loader = loader
module = importlib.util.module_from_spec(spec)
sys.modules["package.inner"] = module
loader.exec_module(module)
print(type(module)); print(module.Thing); print(type(module), module.__spec__)
""",
    "a module out of a zip": """
import sys, zipfile
with zipfile.ZipFile("modules.zip", "w") as file:
    file.writestr("zipped.py", "import time; time.sleep(0.03); value = 1")
    file.writestr("zipped_fails.py", "import time; time.sleep(0.03); 1 / 0")
sys.path.insert(0, "modules.zip")
import zipped
print(zipped.value, zipped.__spec__, zipped.__loader__)
import zipped_fails
""",
    "a module that is run": """
import runpy
print(sorted(runpy.run_module("package", run_name="__main__", alter_sys=True)))
print(sorted(runpy.run_path("slow_module.py")))
runpy.run_module("package.fails")
""",
    "a reload": """
import importlib, slow_module, sys
slow_module.old = 1
print(importlib.reload(slow_module) is slow_module, slow_module.old, slow_module.__spec__)
""",
    "pickling by a module's name": """
import pickle, sys
from package.inner import Thing
data = pickle.dumps(Thing())
del sys.modules["package.inner"], sys.modules["package"]
print(type(pickle.loads(data)).__module__, pickle.loads(data).__class__ is Thing)
pickle.loads(b"cno_such_module_anywhere\\nThing\\n.")
""",
    "metadata": """
import importlib.metadata, importlib.resources
print(importlib.metadata.version("pytest") != "", importlib.resources.files("package").name)
""",
    "threads that import at once": """
import threading
start = threading.Barrier(4)
found = []
def work():
    start.wait()
    import package.inner
    found.append(package.inner.Thing)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found), len(set(found)))
""",
    "threads that wait for each other's imports": """
import threading
def work(name):
    try: __import__(name)
    except ImportError as error: print(type(error).__name__)
threads = [threading.Thread(target=work, args=(f"package.circular_{x}",)) for x in "ab"]
for thread in threads: thread.start()
for thread in threads: thread.join()
""",
    "a module called like ours": "import ledger; print(ledger.mine, ledger.__file__)",
    "warnings from a module": """
import warnings
warnings.simplefilter("always")
open("warns.py", "w").write("import warnings, time; time.sleep(0.03); warnings.warn('old', stacklevel=2)")
import warns
""",
    "a fork": """
import os, sys
import package
if (pid := os.fork()) == 0:
    import slow_module
    print("child", flush=True); os._exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""",
    "a fork in the middle of an import": """
open("forks.py", "w").write('''
import os, sys, time
time.sleep(0.03)
pid = os.fork()
if pid:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
else:
    import slow_module
''')
import os, sys, forks
if not forks.pid:
    import package
    print("child", package.inner.Thing, flush=True); os._exit(4)
print("parent", forks.code)
""",
    "leaving at once": "import os, slow_module; print('x', flush=True); os._exit(5)",
    "an exit code": "import sys, slow_module; sys.exit(3)",
    "an exit with words": "import sys, slow_module; sys.exit('no')",
    "an uncaught error": "import slow_module; slow_module.nothing",
    "exit handlers": """
import atexit, slow_module
atexit.register(print, "first")
atexit.register(lambda: __import__("package"))
atexit.register(print, "last")
""",
    "recursion": """
import sys
open("deep.py", "w").write("def f(n): return n and 1 + f(n - 1)\\nf(10 ** 6)\\n")
try: import deep
except RecursionError as error: print(error)
""",
}  # fmt: skip


@pytest.fixture
def files(program: Program) -> Program:
    for name, text in FILES.items():
        program.file(name, text)
    return program


def differs(program: Program, *arguments: str) -> list[tuple[str, str]]:
    """Run without and with recording; return what differs, without the addresses of objects."""
    runs = [program.run(*arguments, recording=recording) for recording in (False, True)]
    outcomes = [
        (
            str(run.returncode),
            re.sub("0x[0-9a-f]+", "0x", run.stdout),
            re.sub("0x[0-9a-f]+", "0x", run.stderr),
        )
        for run in runs
    ]
    return [pair for pair in zip(*outcomes, strict=True) if pair[0] != pair[1]]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_does_what_it_does_unrecorded(files: Program, name: str) -> None:
    files.file("subject.py", PROGRAMS[name])
    assert differs(files, "subject.py") == []
    assert files.events() != []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 can't leave a frame out of these")
@pytest.mark.parametrize(
    "text",
    [
        "import importlib; importlib.import_module('package.around')",
        "import importlib; importlib.import_module('package.missing')",
        "import importlib; importlib.import_module('no_such_module_anywhere')",
        "import importlib, slow_module as m; open('slow_module.py', 'w').write('1/0'); importlib.reload(m)",
        """
import importlib, traceback
try: importlib.import_module('package.fails')
except ValueError as error: print([frame.name for frame in traceback.extract_tb(error.__traceback__)])
""",
    ],
)
def test_a_traceback_through_importlib_has_no_frame_of_ours(files: Program, text: str) -> None:
    files.file("subject.py", text)
    slow_module = FILES["slow_module.py"]
    before = files.run("subject.py", recording=False)
    files.file("slow_module.py", slow_module)
    after = files.run("subject.py")
    assert (after.returncode, after.stdout, after.stderr) == (before.returncode, before.stdout, before.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "package", "-x", "y"),
        ("-c", "import slow_module, sys; print(sys.argv, __name__)", "-m"),
        ("-I", "-c", "import sys; print(sys.flags, sys.path)"),
        ("-E", "-c", "import slow_module; print(slow_module.__spec__)"),
        ("-bb", "-W", "error", "-X", "dev", "-c", "import slow_module, package; print(package)"),
        ("-OO", "-c", "import slow_module; print(slow_module.__doc__)"),
        ("-",),
        ("package",),
    ],
)
def test_it_does_so_however_it_is_started(files: Program, arguments: tuple[str, ...]) -> None:
    assert differs(files, *arguments) == []


def test_a_run_of_pytest_is_the_same(files: Program) -> None:
    files.file(
        "test_subject.py",
        """
import slow_module
from package.inner import Thing

def test_good(tmp_path):
    import json
    assert json.dumps(1) == "1"

def test_bad():
    import package.fails
""",
    )
    runs = [
        files.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=long", recording=recording)
        for recording in (False, True)
    ]
    without, with_recording = (run.stdout.rpartition(" in ")[0] for run in runs)
    assert with_recording == without
    assert runs[0].returncode == runs[1].returncode == 1
    assert files.processes()["pytest"]["outcome"] == "failed"
    assert "slow_module" in files.intervals()


def test_a_signal_kills_as_ever(files: Program) -> None:
    files.file("subject.py", "import os, signal, slow_module; os.kill(os.getpid(), signal.SIGTERM)")
    assert files.run("subject.py").returncode == -signal.SIGTERM
    [process] = files.processes().values()
    assert process["outcome"] == "lost"


class TestOff:
    def test_nothing_of_ours_is_imported(self, program: Program) -> None:
        ran = program.run("-X", "importtime", "-c", "import sys; print(sorted(sys.modules))", recording=False)
        assert "ledger" not in ran.stdout + ran.stderr

    def test_an_empty_variable_is_off(self, program: Program) -> None:
        ran = program.run("-c", "import sys; print(sorted(sys.modules))", recording=False, COMPILE_LEDGER="")
        assert "ledger" not in ran.stdout
        assert ran.stderr == ""

    def test_without_site_there_is_no_hook(self, program: Program) -> None:
        assert program.run("-S", "-c", "print(1)").stdout == "1\n"
        assert not program.ledger.with_name("startup.db.journal").exists()

    def test_a_hook_whose_package_is_gone_says_nothing(self, program: Program) -> None:
        [paths] = (program.python.parents[1] / "lib").glob("python*/site-packages/a_paths.pth")
        ran = program.run("-I", "-c", f"""
import os, site, sys
sys.path[:] = [path for path in sys.path if not os.path.isdir(path + "/ledger_birth")]
for name in [name for name in sys.modules if name.startswith("ledger_birth")]: del sys.modules[name]
site.addpackage({str(paths.parent)!r}, "compile_ledger_birth.pth", set())
print("ledger_birth" in sys.modules)
""")  # fmt: skip
        assert (ran.stdout, ran.stderr) == ("False\n", "")


def test_a_ledger_that_can_not_be_written_harms_nothing(files: Program) -> None:
    for place in ("/proc/none/x.db", str(files.folder / "slow_module.py" / "x.db")):
        ran = files.run("-c", "import slow_module; print(slow_module.__name__)", COMPILE_LEDGER=place)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "slow_module\n", "")
