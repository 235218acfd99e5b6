"""A small simulated dataset, pruned, and with a model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from simulated_rows import Simulated, write_simulated

from trainyard.splice.prune import prune
from trainyard.splice.settings import SplicePruneSettings, SpliceTrainSettings
from trainyard.splice.train.fit import train


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of linear algebra and trees would only get into one another's way here."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def quick() -> SpliceTrainSettings:
    """A training that takes a second, on one thread."""
    return SpliceTrainSettings(
        rounds=25, threads=1, parameters={"max_depth": 3, "learning_rate": 0.3}, bootstrap=50, seed=3
    )


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """40 genes of 120 rows, pruned. Not to be written to."""
    made = write_simulated(tmp_path_factory.mktemp("simulated"))
    prune(made.master, made.splits, made.pruned, SplicePruneSettings())
    return made


@pytest.fixture(scope="session")
def trained(simulated: Simulated, quick: SpliceTrainSettings) -> Simulated:
    """The same with a model in `train`. Not to be written to."""
    train(simulated.master, simulated.splits, simulated.pruned, simulated.model, quick)
    return simulated
