"""Table contracts as Markdown."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from trainyard.publish.markdown import table
from trainyard.yard.tables import TableContract

ROLES = """\
The role says what a column may be used for: `key` identifies, `label` is what a model learns, `feature` is what it
may see, `metadata` describes, and `never-a-feature` would tell it the answer.
"""


def contract_text(title: str, text: str, contract: TableContract, *, meanings: Mapping[str, str] | None = None) -> str:
    """A section on one table.

    Args:
        title: Heading.
        text: What a row is.
        contract: The table.
        meanings: Meanings of columns that the contract does not describe.
    """
    known = meanings or {}
    rows = [
        [f"`{c.name}`", _type(c.type), c.unit, c.role.value, c.description or known.get(c.name, "")]
        for c in contract.columns
    ]
    return f"## {title}\n\n{text}\n\n" + table(["column", "type", "unit", "role", "meaning"], rows)


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {_type(kind.value_type)}"
    # Arrow calls them double and float.
    return {pa.float64(): "float64", pa.float32(): "float32"}.get(kind, str(kind))
