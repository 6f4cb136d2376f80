"""Compiles small functions, healthy ones and unhealthy ones, and says what the user saw of each.

It knows nothing of compile-ledger. Arguments: `eager`, for what happens in Dynamo, or `inductor`, for what
happens behind it. It prints one line of JSON: for each case its name, whether it is healthy, the clock
(`time.perf_counter_ns`) before and after it, and the exception that reached the user, or null.
"""

import contextlib
import json
import logging
import os
import shutil
import sys
import time

import torch
import torch._dynamo.config

logging.disable(logging.ERROR)
ones = torch.ones(4)
# Its name in the oldest versions is the second one.
recompile_limit = next(n for n in ("recompile_limit", "cache_size_limit") if hasattr(torch._dynamo.config, n))
cases = []


def case(name, healthy):
    """Run the decorated function at once, and keep what came of it."""

    def run(function):
        torch._dynamo.reset()
        caught = None
        start_ns = time.perf_counter_ns()
        try:
            function()
        except Exception as error:
            caught = type(error).__name__
        clock = {"start_ns": start_ns, "stop_ns": time.perf_counter_ns()}
        cases.append({"case": name, "healthy": healthy, "caught": caught, **clock})

    return run


def compiled(function, **options):
    return torch.compile(function, **{"backend": "eager", **options})


def add_one(inputs):
    return inputs + 1


def broken(inputs):
    inputs = inputs * 2
    torch._dynamo.graph_break()
    return inputs + 1


def broken_in_loop(inputs):
    for _ in range(2):
        inputs = inputs * 2
        torch._dynamo.graph_break()
    return inputs


def failing_backend(graph, example_inputs):
    raise RuntimeError("this backend compiles nothing")


def failing_pass(graph):
    raise RuntimeError("this pass is broken")


def eager():
    @case("no break", True)
    def _():
        compiled(add_one)(ones)

    @case("a break", True)
    def _():
        compiled(broken)(ones)

    @case("print", True)
    def _():
        def prints(inputs):
            inputs = inputs * 2
            print(end="")
            return inputs + 1

        compiled(prints)(ones)

    @case("a branch on data", True)
    def _():
        compiled(lambda inputs: inputs + 1 if inputs.sum() > 0 else inputs - 1)(ones)

    @case("a break in a loop", True)
    def _():
        compiled(broken_in_loop)(ones)

    @case("a break in try", True)
    def _():
        def tries(inputs):
            try:
                return broken(inputs)
            except ValueError:
                return inputs

        def tries_itself(inputs):
            try:
                torch._dynamo.graph_break()
                return inputs + 1
            finally:
                inputs = inputs * 2

        compiled(tries)(ones)
        compiled(tries_itself)(ones)

    @case("a break in a with", True)
    def _():
        @contextlib.contextmanager
        def own():
            yield

        def with_torchs(inputs):
            with torch.no_grad():
                torch._dynamo.graph_break()
                return inputs + 1

        def with_own(inputs):
            with own():
                torch._dynamo.graph_break()
                return inputs + 1

        compiled(with_torchs)(ones)
        compiled(with_own)(ones)

    @case("a break in a callee", True)
    def _():
        compiled(lambda inputs: broken_in_loop(broken(inputs)) * 3)(ones)

    @case("a break in a comprehension", True)
    def _():
        compiled(lambda inputs: [broken(inputs + number) for number in range(2)])(ones)

    @case("a callee that is not to be compiled", True)
    def _():
        disabled = torch.compiler.disable(add_one)
        compiled(lambda inputs: disabled(inputs) * 2)(ones)

    @case("exceptions that the compiled code catches", True)
    def _():
        def catches(inputs):
            try:
                raise ValueError("caught")
            except ValueError:
                inputs = inputs + 1
            try:
                {}["missing"]
            except KeyError:
                inputs = inputs * 2
            return inputs

        compiled(catches)(ones)

    @case("nothing to compile", True)
    def _():
        compiled(lambda inputs: inputs)(ones)

    @case("dynamic shapes", True)
    def _():
        function = compiled(add_one)
        for size in (2, 3, 4):
            function(torch.ones(size))

    @case("the recompile limit", True)
    def _():
        with torch._dynamo.config.patch({recompile_limit: 2}):
            function = compiled(lambda inputs, text: inputs * len(text))
            for text in ("a", "bb", "ccc"):
                function(ones, text)

    # Dynamo leaves it to Python, and what the user sees is the program's own exception, not a compiler's.
    @case("the compiled code raises", True)
    def _():
        def raises(inputs):
            inputs = inputs + 1
            raise ValueError("the program's own")

        compiled(raises)(ones)

    @case("while an exception is handled", True)
    def _():
        try:
            raise ValueError("handled")
        except ValueError:
            compiled(broken)(ones)

    @case("fullgraph with a break", False)
    def _():
        compiled(broken, fullgraph=True)(ones)

    @case("fullgraph inside a backend", False)
    def _():
        def backend(graph, example_inputs):
            compiled(broken, fullgraph=True)(ones)
            return graph

        compiled(add_one, backend=backend)(ones)

    if hasattr(torch._dynamo, "error_on_graph_break"):  # not in the oldest versions

        @case("error_on_graph_break around", False)
        def _():
            with torch._dynamo.error_on_graph_break(True):
                compiled(broken)(ones)

        @case("error_on_graph_break inside", False)
        def _():
            def inside(inputs):
                with torch._dynamo.error_on_graph_break(True):
                    torch._dynamo.graph_break()
                return inputs + 1

            compiled(inside)(ones)

    @case("error_on_recompile", False)
    def _():
        with torch._dynamo.config.patch(error_on_recompile=True):
            function = compiled(add_one)
            function(torch.ones(2))
            function(torch.ones(2, 2))

    @case("fullgraph at the recompile limit", False)
    def _():
        with torch._dynamo.config.patch({recompile_limit: 1}):
            function = compiled(lambda inputs, text: inputs * len(text), fullgraph=True)
            for text in ("a", "bb"):
                function(ones, text)

    @case("a wrong shape", False)
    def _():
        compiled(lambda inputs: inputs @ torch.ones(3, 3))(ones)

    @case("a failing backend", False)
    def _():
        compiled(add_one, backend=failing_backend)(ones)

    @case("a failing backend after a break", False)
    def _():
        compiled(broken, backend=failing_backend)(ones)

    @case("a failing backend, suppressed", False)
    def _():
        with torch._dynamo.config.patch(suppress_errors=True):
            compiled(add_one, backend=failing_backend)(ones)


def inductor():
    from torch._inductor import config, cpu_vec_isa

    def loss_of(number):
        return torch.compile(lambda inputs: (inputs * number).sin().sum())

    def gradient():
        loss_of(3)(torch.ones(4, requires_grad=True)).backward()

    case("cold, with a backward", True)(gradient)
    case("warm", True)(gradient)
    shutil.rmtree(os.path.join(os.environ["TORCHINDUCTOR_CACHE_DIR"], "fxgraph"))
    case("one of two caches is gone", True)(gradient)

    @case("a CPU feature that the compiler does not know", True)
    def _():
        cpu_vec_isa.VecAVX2().check_build("#error no such feature")

    @case("a failing pass", False)
    def _():
        with config.patch(post_grad_custom_pre_pass=failing_pass, force_disable_caches=True):
            torch.compile(add_one)(ones)

    @case("no C++ compiler", False)
    def _():
        with config.patch({"cpp.cxx": ("no-such-compiler",), "force_disable_caches": True}):
            torch.compile(add_one)(ones)

    @case("a failing backward", False)
    def _():
        with config.patch(force_disable_caches=True):
            loss = loss_of(5)(torch.ones(4, requires_grad=True))
            with config.patch(post_grad_custom_pre_pass=failing_pass):
                loss.backward()


if __name__ == "__main__":
    {"eager": eager, "inductor": inductor}[sys.argv[1]]()
    print(json.dumps(cases))
