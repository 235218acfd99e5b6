"""The same inputs give the same bytes, whatever the number of cores."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Outcome, Workspace


def test_one_core_and_four_give_the_same_bytes_of_every_file(
    workspace: Workspace, finished: tuple[Workspace, Outcome, Outcome]
) -> None:
    workspace.build(cores=1)
    digests = finished[0].sha256()
    assert len(digests) >= 100
    assert workspace.sha256() == digests
