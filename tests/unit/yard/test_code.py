"""The digest of a stage changes with what its code does, and only then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import trainyard
from trainyard.yard import code
from trainyard.yard.code import code_digest

FILES = {
    "scripts/build.py": "import numpy\nfrom trainyard.yard import files\n\ndef main():\n"
    "    from trainyard.transit.build import go\n    go()\n",
    "trainyard/__init__.py": '"""Package."""\n__version__ = "0.1"\n',
    "trainyard/yard/__init__.py": "",
    "trainyard/yard/files.py": "import os\nN = 1\n",
    "trainyard/transit/__init__.py": "",
    "trainyard/transit/build.py": "from trainyard.transit import windows\nfrom trainyard.transit.settings import S\n"
    "from . import masks\nfrom .images import image\ndef go(): return windows.W\n",
    "trainyard/transit/windows.py": "W = 5  # widths\ndef f(x): return f'{x:.2f} and {W}'\n",
    "trainyard/transit/masks.py": "M = 1\n",
    "trainyard/transit/images.py": "image = 1\n",
    "trainyard/transit/settings.py": "from trainyard.transit import defaults\nS = 1\n",
    "trainyard/transit/defaults.py": "D = 1\n",
    "trainyard/transit/other.py": "O = 1\n",
}
FOLLOWED = ["yard/files", "transit/build", "transit/windows", "transit/masks", "transit/images"]
NOT_FOLLOWED = ["transit/settings", "transit/defaults", "transit/other"]

Digest = Callable[..., str]


@pytest.fixture
def digest(tmp_path: Path) -> Digest:
    """Digest of the toy package with some files replaced."""

    def digest_with(changes: dict[str, str] | None = None) -> str:
        for name, text in (FILES | (changes or {})).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        roots = {"trainyard": tmp_path / "trainyard", "scripts": tmp_path / "scripts"}
        return code_digest("scripts.build", roots=roots)

    return digest_with


def test_digest_is_16_hex_digits_and_does_not_depend_on_the_place(digest: Digest, tmp_path: Path) -> None:
    first = digest()
    for name, text in FILES.items():
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clone" / name).write_text(text)
    roots = {"trainyard": tmp_path / "clone" / "trainyard", "scripts": tmp_path / "clone" / "scripts"}
    assert code_digest("scripts.build", roots=roots) == first
    assert len(first) == 16
    assert int(first, 16) > 0


@pytest.mark.parametrize(
    "text",
    [
        "# A comment.\nW = 5\ndef f(x): return f'{x:.2f} and {W}'\n",
        '"""A docstring."""\nW = 5\n"""Of the constant."""\ndef f(x):\n    "Of f."\n    return f"{x:.2f} and {W}"\n',
        "W = (\n    5\n)\n\n\ndef f(\n    x,\n):\n    return f'{x:.2f} ' f'and {W}'\n",
        "W = 0x5\ndef f(x): return f'{x:.2f}' u' and ' f'{W}'; \n",
    ],
    ids=["comment", "docstring", "layout", "spelling"],
)
def test_what_does_not_run_changes_nothing(digest: Digest, text: str) -> None:
    assert digest({"trainyard/transit/windows.py": text}) == digest()


@pytest.mark.parametrize(
    "text",
    [
        "W = 6\ndef f(x): return f'{x:.2f} and {W}'\n",
        "W = 5.0\ndef f(x): return f'{x:.2f} and {W}'\n",
        "W = 5\ndef f(x): return f'{x:.3f} and {W}'\n",
        "W = 5\ndef f(x): return f'{x:.2f} und {W}'\n",
        "W = 5\ndef f(x): return f'{x!r:.2f} and {W}'\n",
        "W = 5\ndef f(x=None): return f'{x:.2f} and {W}'\n",
        "W = 5\ndef f(x): return\n",
        "W = 5\ndef f(x): return None\n",
    ],
)
def test_what_runs_changes_the_digest(digest: Digest, text: str) -> None:
    assert digest({"trainyard/transit/windows.py": text}) != digest()


@pytest.mark.parametrize("module", FOLLOWED)
def test_imports_are_followed(digest: Digest, module: str) -> None:
    name = f"trainyard/{module}.py"
    assert digest({name: FILES[name] + "ADDED = 1\n"}) != digest()


def test_code_of_packages_counts(digest: Digest) -> None:
    assert digest({"trainyard/transit/__init__.py": "import os\n"}) != digest()


@pytest.mark.parametrize("module", NOT_FOLLOWED)
def test_settings_and_strangers_are_left_out(digest: Digest, module: str) -> None:
    name = f"trainyard/{module}.py"
    assert digest({name: FILES[name] + "ADDED = 1\n"}) == digest()


@pytest.mark.parametrize("condition", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_imports_for_type_checkers_are_not_followed_and_those_beside_them_are(digest: Digest, condition: str) -> None:
    masks = (
        f"if {condition}:\n    from trainyard.transit import other\nelse:\n    from trainyard.transit import defaults\n"
    )
    first = digest({"trainyard/transit/masks.py": masks})
    for name, same in (("other", True), ("defaults", False)):
        changed = {"trainyard/transit/masks.py": masks, f"trainyard/transit/{name}.py": "CHANGED = 1\n"}
        assert (digest(changed) == first) == same


def test_version_of_the_package_is_left_out(digest: Digest) -> None:
    assert digest({"trainyard/__init__.py": '__version__ = "0.2"\n'}) == digest()


def test_edit_is_seen_in_the_same_process_and_can_be_taken_back(digest: Digest) -> None:
    first = digest()
    assert digest({"trainyard/yard/files.py": "import os\nN = 2\n"}) != first
    assert digest() == first


def test_modules_that_import_each_other_end(digest: Digest) -> None:
    assert digest({"trainyard/transit/masks.py": "import trainyard.transit.build\n"}) != digest()


def test_missing_module_is_named_with_its_importer(digest: Digest) -> None:
    with pytest.raises(ValueError, match=r"trainyard\.transit\.masks: no module trainyard\.absent"):
        digest({"trainyard/transit/masks.py": "def f():\n    from trainyard.absent import x\n"})


def test_entry_outside_the_roots_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="elsewhere"):
        code_digest("elsewhere.build", roots={"trainyard": tmp_path})


def test_real_package_can_be_digested() -> None:
    roots = {"trainyard": Path(trainyard.__file__).parent}
    assert code_digest("trainyard.yard.tables", roots=roots) != code_digest("trainyard.yard.files", roots=roots)


def test_digests_are_kept_until_a_module_changes(
    digest: Digest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = digest()
    roots = {"trainyard": tmp_path / "trainyard", "scripts": tmp_path / "scripts"}
    asked: list[str] = []

    def counted(name: str, *, roots: dict[str, Path]) -> str:
        asked.append(name)
        return code_digest(name, roots=roots)

    monkeypatch.setattr(code, "code_digest", counted)

    def kept() -> dict[str, str]:
        return code.kept_digests(["scripts.build"], roots=roots, file=tmp_path / "cache" / "code.json")

    assert kept() == kept() == {"scripts.build": first}
    assert len(asked) == 1
    # The same length: its time tells.
    windows = tmp_path / "trainyard/transit/windows.py"
    windows.write_text(windows.read_text().replace("W = 5", "W = 6"))
    assert kept()["scripts.build"] != first
    assert kept() and len(asked) == 2
    (tmp_path / "cache" / "code.json").write_text("{")
    assert kept() and len(asked) == 3
    assert code.kept_digests([], roots=roots, file=tmp_path / "cache" / "code.json") == {}
