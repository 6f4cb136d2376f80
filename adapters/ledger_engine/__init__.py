"""What every adapter for an engine needs: hook targets as tables, the patcher, stages, signature checks.

An adapter adds its table of targets (`HookTable`), and the hooks that are more than one stage. Nothing is
imported here: an engine's process imports only what it uses.

PYTEST_DONT_REWRITE: else pytest warns, where a program imports this before it runs pytest.
"""
