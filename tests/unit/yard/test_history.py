"""The history of a training."""

from __future__ import annotations

import pytest

from trainyard.yard.errors import InputError
from trainyard.yard.history import read_history, write_history

ROWS = [{"loss": 0.5, "val_loss": 0.6}, {"loss": 0.25, "val_loss": float("nan")}, {"loss": 1 / 3, "val_loss": 0.4}]


def test_what_is_written_is_read_back_bit_for_bit(tmp_path):
    write_history(tmp_path / "history.csv", ROWS, best=3)
    found = read_history(tmp_path / "history.csv", needed=["loss"])
    assert (found.epochs, found.best) == ([1, 2, 3], 3)
    assert found.metrics["loss"] == [0.5, 0.25, 1 / 3]
    assert found.metrics.keys() == {"loss", "val_loss"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "epoch,loss,best\n",
        "epoch,loss,best\n1,high,1\n",
        "epoch,loss,best\n1,0.5,0\n",
        "epoch,best\n1,1\n",
        "a,b\n1\n",
    ],
    ids=["empty", "no epoch", "no number", "no best epoch", "no loss", "another table"],
)
def test_a_file_that_is_no_history_is_refused_by_name(tmp_path, text):
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(InputError, match=r"history\.csv: not a training history"):
        read_history(tmp_path / "history.csv", needed=["loss"])


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a training history"):
        read_history(tmp_path / "history.csv", needed=[])
