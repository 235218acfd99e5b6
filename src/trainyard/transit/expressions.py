"""Conditions over a table, written as people write them: `label == 1 and disposition in ["EB", "CP"]`.

The text is parsed as a Python expression and compiled to Arrow compute calls; nothing of it is ever executed. Allowed
are column names, numbers, texts in quotes, True and False, comparisons (chained ones too), `in` and `not in` with a
list, `and`, `or`, `not`, `+ - * /`, `abs()`, `isnan()` and parentheses.

A missing value (null or NaN) compares false with everything, so `not (x > 3)` holds where x is missing and `x <= 3`
does not. `isnan(x)` tells. All arithmetic and all comparisons of numbers are done in float64.
"""

from __future__ import annotations

import ast
import difflib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainyard.yard.errors import ConfigError

Kind = Literal["number", "text", "condition"]

_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: pc.equal,
    ast.NotEq: pc.not_equal,
    ast.Lt: pc.less,
    ast.LtE: pc.less_equal,
    ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: pc.add,
    ast.Sub: pc.subtract,
    ast.Mult: pc.multiply,
    ast.Div: pc.divide,
}
_INSTEAD: Mapping[type[ast.AST], str] = {
    ast.BitAnd: "write 'and' instead of '&', with parentheses where needed",
    ast.BitOr: "write 'or' instead of '|', with parentheses where needed",
    ast.Invert: "write 'not' instead of '~'",
    ast.Is: "write '==' instead of 'is'",
    ast.IsNot: "write '!=' instead of 'is not'",
}


@dataclass(frozen=True)
class Expression:
    """A checked condition over the columns of a table."""

    text: str
    columns: frozenset[str]
    """Names of the columns that it reads."""
    _evaluate: Callable[[pa.Table], Any]

    def mask(self, table: pa.Table) -> NDArray[np.bool_]:
        """Where the condition holds, shape ``(rows,)``."""
        holds = self._evaluate(table)
        if isinstance(holds, pa.Scalar):
            return np.full(table.num_rows, holds.as_py(), dtype=np.bool_)
        return np.asarray(holds, dtype=np.bool_)


def compile_expression(text: str, schema: pa.Schema, *, source: str) -> Expression:
    """Check a condition against the columns of a table and make it ready to be evaluated.

    Args:
        text: The condition.
        schema: Schema of the tables that it will be evaluated on.
        source: Where the text stands, for messages; e.g. ``transit.select.balanced.where``.

    Raises:
        ConfigError: Not such a condition, or an unknown column; names position (from 1) and what to write instead.
    """
    return _Compiler(text, schema, source).compile()


@dataclass(frozen=True)
class _Term:
    """A part of an expression; `evaluate` gives an array or, where no column is involved, a scalar.

    Numbers are float64 with null for missing values, never NaN; conditions are never null.
    """

    kind: Kind
    evaluate: Callable[[pa.Table], Any]
    literal: bool = False


class _Compiler:
    def __init__(self, text: str, schema: pa.Schema, source: str) -> None:
        self._source = source
        self._text = text
        # Configuration files wrap long lines; a line break means no more than a space.
        line = text.replace("\r", " ").replace("\n", " ")
        self._line = line.strip()
        self._indent = len(line) - len(line.lstrip())
        self._schema = schema
        self._columns: set[str] = set()

    def compile(self) -> Expression:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(self._line, mode="eval")
            term = self._condition(tree.body)
        except SyntaxError as error:
            # Python gives 0 where the text ends too early.
            offset = error.offset - 1 if error.offset else len(self._line)
            hint = ", write '==' to compare" if self._line[offset : offset + 1] == "=" else ""
            self._refuse(offset, error.msg + hint)
        except (ValueError, RecursionError, MemoryError) as error:
            self._refuse(0, f"cannot be parsed ({error})")
        return Expression(self._text, frozenset(self._columns), term.evaluate)

    def _term(self, node: ast.expr) -> _Term:
        visit: Mapping[type[ast.expr], Callable[[Any], _Term]] = {
            ast.Name: self._column,
            ast.Constant: self._literal,
            ast.BoolOp: self._all_or_any,
            ast.Compare: self._comparison,
            ast.BinOp: self._arithmetic,
            ast.UnaryOp: self._unary,
            ast.Call: self._call,
        }
        if type(node) in visit:
            return visit[type(node)](node)
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            self._fail(node, "a list can only stand after 'in' or 'not in'")
        self._fail(node, "only comparisons, and/or/not, in, + - * /, abs() and isnan() can be used here")

    def _column(self, node: ast.Name) -> _Term:
        name = node.id
        if name not in self._schema.names:
            near = difflib.get_close_matches(name, self._schema.names, n=1)
            hint = (
                f"did you mean {near[0]}?"
                if near
                else "text must stand in quotes; columns: " + ", ".join(self._schema.names)
            )
            self._fail(node, f"unknown column {name!r}, {hint}")
        self._columns.add(name)
        kind = self._schema.field(name).type
        if pa.types.is_boolean(kind):
            return _Term("condition", lambda table: pc.fill_null(table.column(name), False))
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return _Term("text", lambda table: table.column(name).cast(pa.string()))
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return _Term("number", lambda table: _known(table.column(name).cast(pa.float64(), safe=False)))
        self._fail(node, f"column {name!r} holds {kind}, which cannot be compared")

    def _literal(self, node: ast.Constant) -> _Term:
        match node.value:
            case bool() as value:
                scalar, kind = pa.scalar(value), "condition"
            case int() | float() as value:
                try:
                    scalar, kind = pa.scalar(float(value), pa.float64()), "number"
                except OverflowError:
                    self._fail(node, "the number is too large")
            case str() as value:
                scalar, kind = pa.scalar(value), "text"
            case _:
                self._fail(node, f"{node.value!r} cannot be used; to find missing values write isnan(column)")
        return _Term(kind, lambda _: scalar, literal=True)  # type: ignore[arg-type]

    def _all_or_any(self, node: ast.BoolOp) -> _Term:
        terms = [self._condition(value) for value in node.values]
        combine = pc.and_ if isinstance(node.op, ast.And) else pc.or_
        return _Term("condition", lambda table: reduce(combine, (term.evaluate(table) for term in terms)))

    def _comparison(self, node: ast.Compare) -> _Term:
        links = []
        left = node.left
        for operation, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operation, ast.In | ast.NotIn):
                links.append(self._membership(left, operation, right))
            else:
                links.append(self._link(left, operation, right))
            left = right
        return _Term("condition", lambda table: reduce(pc.and_, (link(table) for link in links)))

    def _link(self, left: ast.expr, operation: ast.cmpop, right: ast.expr) -> Callable[[pa.Table], Any]:
        compare = _COMPARISONS.get(type(operation))
        if compare is None:
            self._fail(right, _INSTEAD[type(operation)])
        a, b = self._term(left), self._term(right)
        if a.kind != b.kind:
            self._fail(right, f"a {a.kind} is compared with a {b.kind}")
        if a.kind == "condition" and not isinstance(operation, ast.Eq | ast.NotEq):
            self._fail(right, "conditions can only be compared with == and !=")
        return lambda table: pc.fill_null(compare(a.evaluate(table), b.evaluate(table)), False)

    def _membership(self, left: ast.expr, operation: ast.In | ast.NotIn, right: ast.expr) -> Callable[[pa.Table], Any]:
        item = self._term(left)
        if not isinstance(right, ast.List | ast.Tuple | ast.Set):
            self._fail(right, '\'in\' needs a list in brackets, such as [1, 2] or ["EB", "CP"]')
        values = self._values(right.elts, item.kind)
        if isinstance(operation, ast.In):
            return lambda table: pc.is_in(item.evaluate(table), value_set=values)
        # A missing value is not in the list, but it compares false all the same.
        return lambda table: _is_known_and_not_in(item.evaluate(table), values)

    def _values(self, nodes: Sequence[ast.expr], kind: Kind) -> pa.Array:
        if kind == "condition":
            self._fail(nodes[0] if nodes else None, "'in' works on numbers and text")
        values = []
        for node in nodes:
            term = self._term(node)
            if not term.literal or term.kind != kind:
                self._fail(node, f"the list may only hold values of kind {kind}, like what stands before it")
            values.append(term.evaluate(None).as_py())
        return pa.array(values, pa.string() if kind == "text" else pa.float64())

    def _arithmetic(self, node: ast.BinOp) -> _Term:
        compute = _ARITHMETIC.get(type(node.op))
        if compute is None:
            self._fail(node, _INSTEAD.get(type(node.op), "of arithmetic only + - * / can be used"))
        a, b = self._number(node.left), self._number(node.right)
        return _Term("number", lambda table: _known(compute(a.evaluate(table), b.evaluate(table))))

    def _unary(self, node: ast.UnaryOp) -> _Term:
        match node.op:
            case ast.Not():
                term = self._condition(node.operand)
                return _Term("condition", lambda table: pc.invert(term.evaluate(table)))
            case ast.USub():
                number = self._number(node.operand)
                return _Term("number", lambda table: pc.negate(number.evaluate(table)), literal=number.literal)
            case ast.UAdd():
                return self._number(node.operand)
        self._fail(node, _INSTEAD[type(node.op)])

    def _call(self, node: ast.Call) -> _Term:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in ("abs", "isnan") or len(node.args) != 1 or node.keywords:
            self._fail(node, "only abs(...) and isnan(...) can be called, with one argument")
        number = self._number(node.args[0])
        if name == "abs":
            return _Term("number", lambda table: pc.abs(number.evaluate(table)))
        return _Term("condition", lambda table: pc.is_null(number.evaluate(table)))

    def _condition(self, node: ast.expr) -> _Term:
        term = self._term(node)
        if term.kind != "condition":
            self._fail(node, f"a condition is needed, but this is a {term.kind}; compare it with something")
        return term

    def _number(self, node: ast.expr) -> _Term:
        term = self._term(node)
        if term.kind != "number":
            self._fail(node, f"a number is needed, but this is a {term.kind}")
        return term

    def _fail(self, node: ast.expr | None, problem: str) -> NoReturn:
        # Python counts columns in UTF-8 bytes.
        before = self._line.encode()[: node.col_offset].decode() if node is not None else ""
        self._refuse(len(before), problem)

    def _refuse(self, offset: int, problem: str) -> NoReturn:
        position = self._indent + offset + 1
        raise ConfigError(f"{self._source}: position {position} of {self._text!r}: {problem}")


def _known(numbers: Any) -> Any:
    """The same numbers, null for NaN."""
    return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)


def _is_known_and_not_in(items: Any, values: pa.Array) -> Any:
    return pc.and_(pc.invert(pc.is_in(items, value_set=values)), pc.is_valid(items))
