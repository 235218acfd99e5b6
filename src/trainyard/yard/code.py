"""A digest of the code that a stage runs, so that a stage reruns when its code changes and only then.

The digest is of syntax trees without comments, docstrings and layout. It follows imports within the
given packages, also those inside functions, but not those for type checkers alone. Modules called
`settings.py` are left out, with what they import: they hold values, and values reach a rule through
its parameters. So is `__version__`.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from trainyard.yard.files import write_json


class _Module(NamedTuple):
    digest: str
    imports: tuple[tuple[int, str, tuple[str, ...]], ...]
    """Level (0: absolute), module, and the names imported from it."""


def code_digest(entry_module: str, *, roots: Mapping[str, Path]) -> str:
    """Return 16 hex digits that stand for the code of a module and of all it imports from the roots.

    Args:
        entry_module: Dotted name, such as `workflow_scripts.transit_build_shards`.
        roots: Top-level package to its folder, such as `{"trainyard": Path("src/trainyard")}`.

    Raises:
        ValueError: The module, or one that is imported, is not there.
        SyntaxError: A module does not parse.
    """
    modules: dict[str, str] = {}
    waiting = [(name, "the entry module") for name in _with_parents(entry_module)]
    while waiting:
        name, importer = waiting.pop()
        if name in modules or name.rpartition(".")[2] == "settings":
            continue
        path = _find(name, roots)
        if path is None:
            raise ValueError(f"{importer}: no module {name} in {roots[name.partition('.')[0]]}")
        if path.is_dir():
            continue
        module = _parse(path.read_bytes(), str(path))
        modules[name] = module.digest
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for level, target, names in module.imports:
            waiting += [(found, name) for found in _imported(level, target, names, package, roots)]
    listing = "\n".join(f"{name} {digest}" for name, digest in sorted(modules.items()))
    return hashlib.sha256(listing.encode()).hexdigest()[:16]


def kept_digests(names: Iterable[str], *, roots: Mapping[str, Path], file: Path) -> dict[str, str]:
    """Digests of several entry modules, from a file where no module of the roots has changed since it was written.

    Every job on a cluster reads the Snakefile twice, and parsing all modules is a third of that.

    Args:
        names: Dotted names.
        roots: As for `code_digest`.
        file: Where the digests are kept.
    """
    modules = sorted((path, path.stat()) for root in roots.values() for path in root.rglob("*.py"))
    state = repr([(str(path), status.st_size, status.st_mtime_ns) for path, status in modules])
    names = sorted(names)
    key = hashlib.sha256(f"{names} {state}".encode()).hexdigest()
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["key"] == key:
            return dict(kept["digests"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # what cannot be read only costs time
    digests = {name: code_digest(name, roots=roots) for name in names}
    write_json(file, {"key": key, "digests": digests})
    return digests


def _imported(
    level: int, target: str, names: tuple[str, ...], package: str, roots: Mapping[str, Path]
) -> Iterator[str]:
    """Yield the modules that one import statement runs: parents, the module, submodules among the names."""
    if level:
        base = package.split(".")
        base = base[: len(base) - (level - 1)]
        target = ".".join([*base, target] if target else base)
    if target.partition(".")[0] not in roots:
        return
    yield from _with_parents(target)
    for name in names:
        if _find(f"{target}.{name}", roots) is not None:
            yield f"{target}.{name}"


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def _find(name: str, roots: Mapping[str, Path]) -> Path | None:
    """Return the file of a module, the folder of a package without `__init__.py`, or None."""
    top, *rest = name.split(".")
    if top not in roots:
        raise ValueError(f"{name} is in none of the packages {', '.join(sorted(roots))}")
    base = roots[top].joinpath(*rest)
    for path in (base / "__init__.py", base.parent / f"{base.name}.py"):
        if path.is_file():
            return path
    return base if base.is_dir() else None


@cache
def _parse(source: bytes, filename: str) -> _Module:
    # Cached, since a Snakefile asks for the same modules once per rule.
    tree = ast.parse(source, filename=filename)
    imports: list[tuple[int, str, tuple[str, ...]]] = []
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            imports += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
    return _Module(hashlib.sha256(_canonical(tree).encode()).hexdigest(), tuple(imports))


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those under `if TYPE_CHECKING:`, which is never true when code runs."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in (
            getattr(node.test, "id", ""),
            getattr(node.test, "attr", ""),
        ):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def _canonical(node: object) -> str:
    """Return text that is the same for the same meaning, under every Python from 3.11 on.

    Empty fields are left out because later versions add fields (3.12: `type_params`), and pieces of
    f-strings are joined because versions cut them differently.
    """
    if isinstance(node, list):
        return f"[{','.join(_canonical(item) for item in node)}]"
    if not isinstance(node, ast.AST):
        # Not repr: which characters that prints as they are depends on the version's Unicode tables.
        return ascii(node)
    fields = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            value = _joined(value) if isinstance(node, ast.JoinedStr) else [v for v in value if not _is_remark(v)]
        is_empty = value is None or value == [] or (isinstance(value, ast.JoinedStr) and not value.values)
        is_constant = isinstance(node, ast.Constant) and name == "value"
        if name not in _IGNORED and (is_constant or not is_empty):
            fields.append(f"{name}={_canonical(value)}")
    return f"{type(node).__name__}({','.join(fields)})"


def _is_remark(node: object) -> bool:
    """Whether a statement is a string on its own (a docstring) or sets `__version__`."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id == "__version__" for target in node.targets)
    return False


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """Join neighbouring texts of an f-string and drop empty ones."""
    joined: list[ast.expr] = []
    for value in values:
        last = joined[-1] if joined else None
        if not isinstance(value, ast.Constant):
            joined.append(value)
        elif isinstance(last, ast.Constant):
            joined[-1] = ast.Constant(str(last.value) + str(value.value))
        elif value.value:
            joined.append(value)
    return joined


_IGNORED = frozenset({"kind", "type_comment", "ctx"})
"""Spelling of a string prefix, comments for type checkers, and what the place of a name says anyway."""
