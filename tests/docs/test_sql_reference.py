"""The SQL reference is what the schema says of itself, and the schema is all that a ledger has."""

from ledger.adapters import Relation, schema
from tests.support.handbook import DOCS, matches, table
from tests.support.recordings import recorded


def section(name: str, relation: Relation) -> str:
    rows = [[f"`{column}`", text] for column, text in relation.columns.items()]
    return f"### {name}\n\n{relation.description}\n\n{table(['column', 'what it says'], rows)}\n"


def test_the_reference_is_generated_from_the_schema() -> None:
    promised = {name: relation for name, relation in schema().items() if not relation.is_internal}
    matches(
        DOCS / "sql.md",
        "relations",
        "\n".join(section(name, relation) for name, relation in promised.items()),
    )


def test_the_schema_describes_every_table_view_and_column_of_a_ledger() -> None:
    names = recorded("demo").sql(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
    )
    columns = {
        str(row["name"]): [
            column["name"]
            for column in recorded("demo").sql("SELECT name FROM pragma_table_xinfo(?)", [row["name"]])
        ]
        for row in names
    }
    assert {name: list(relation.columns) for name, relation in schema().items()} == columns
