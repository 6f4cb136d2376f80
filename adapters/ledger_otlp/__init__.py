"""Exports sessions as OpenTelemetry traces: to a collector over OTLP, or to a file of OTLP's JSON lines.

PYTEST_DONT_REWRITE: avoids a pytest warning in programs that import this before they run pytest.
"""
