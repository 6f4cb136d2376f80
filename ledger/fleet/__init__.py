"""Questions over the ledgers of many machines, kept as Parquet files in one folder: a lake.

The queries are written once, in SQLite's SQL as the saved ones are. An engine of an adapter answers them:
DuckDB, ClickHouse or Spark.

PYTEST_DONT_REWRITE: see `ledger`.
"""

from ledger.fleet.engines import Days, FleetEngine, engine_names
from ledger.fleet.fleet import Fleet
from ledger.fleet.queries import fleet_queries

__all__ = ["Days", "Fleet", "FleetEngine", "engine_names", "fleet_queries"]
