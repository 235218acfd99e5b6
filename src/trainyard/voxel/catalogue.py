"""From inputs on disk to a plan, and to what the Snakefile must know of it.

Where the voxel file is there from the start, the Snakefile needs the digest of every part, so that new domains rerun
only the parts that they fall into, and the sizes of all outputs. `plan_summary` keeps both beside the working folder,
and the inventory too, and works them out again only when an input, the settings or the planning code have changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from trainyard.demo.voxel_files import RMSF, VOXELS, list_name
from trainyard.voxel import mdcath
from trainyard.voxel.hdf5 import open_voxels
from trainyard.voxel.inventory import inventory
from trainyard.voxel.mapping import read_domain_table
from trainyard.voxel.plan import VoxelPlan, make_plan
from trainyard.voxel.planfiles import write_plan
from trainyard.voxel.reasons import Reason
from trainyard.voxel.rmsf import read_rmsf
from trainyard.voxel.schema import INVENTORY, MEMBERS, SPLITS
from trainyard.voxel.settings import VoxelInputSettings, VoxelSettings
from trainyard.voxel.sizes import OutputBytes, check_disk, total_bytes
from trainyard.voxel.splits import split_lists
from trainyard.voxel.structures import find_structures
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import read_json, sha256_file, write_json
from trainyard.yard.identity import keyed_hash
from trainyard.yard.ledger import Ledger


@dataclass(frozen=True)
class PlanSummary:
    """What the Snakefile needs of a plan.

    Attributes:
        plan: Digest of everything that shapes the plan.
        parts: Digest of the residues of each part.
        residues: Number of residues of each part.
        counts: As `VoxelPlan.counts`.
        sizes: Bytes of the outputs.
    """

    plan: str
    parts: tuple[str, ...]
    residues: tuple[int, ...]
    counts: dict[str, dict[str, int]]
    sizes: OutputBytes

    @property
    def sentence(self) -> str:
        """Counts and sizes for people."""
        return _sentence(self.counts, self.sizes)


def write_checked_plan(settings: VoxelSettings, out: Path, *, cache: Path | None) -> str:
    """Write the plan to `out`, after a look at the disk; returns counts and sizes for people.

    Args:
        settings: The line's settings; their inputs are files that are there.
        out: Folder of the plan, in the folder of the line.
        cache: Folder for the inventory of the voxel file; None: make it anew.

    Raises:
        InputError: An input cannot be used.
        LeakageError: Splits share what they must not share.
        EnvironmentFault: The disk has less room than the outputs take.
    """
    plan, listed = _load(settings, cache)
    sizes = _sizes(plan, settings, listed)
    # What an earlier build left makes room for this one; what else is in the folder of the line does not.
    built = [path for name in ("store", "export") for path in (out.parent / name).rglob("*") if path.is_file()]
    check_disk(out, max(sizes.total - sum(path.stat().st_size for path in built), 0))
    write_plan(plan, out)
    return _sentence(plan.counts, sizes)


def plan_summary(settings: VoxelSettings, *, cache: Path, code: str, trust_cache: bool = False) -> PlanSummary:
    """Summary of the plan of the configured files, from the cache where nothing has changed.

    Args:
        settings: The line's settings; their inputs are files that are there.
        cache: Folder of the caches.
        code: Digest of the planning code.
        trust_cache: Do not look at the inputs when a summary for these settings is there; for the processes that
            Snakemake starts for single jobs, which only need to agree with the process that planned.
    """
    relevant = [settings.inputs, settings.plan, settings.export]
    base = keyed_hash("voxel-plan-summary", code, *(part.model_dump_json() for part in relevant))
    file = cache / f"voxel-plan-{base:016x}.json"
    known = _known(file)
    if known is not None and not all(member_path(cache, digest).is_file() for digest in known[1].parts):
        known = None
    if known is not None and trust_cache:
        return known[1]
    state = _state(input_files(settings))
    if known is not None and known[0] == state:
        return known[1]
    summary = _summary(settings, cache)
    write_json(file, {"state": state, "summary": asdict(summary)})
    return summary


def refuse_missing(settings: VoxelSettings) -> None:
    """Make sure that what is to be voxelised is there, and the tables and lists that go with it.

    Snakemake does not: where inputs are missing, it takes what an earlier run has made of others.

    Args:
        settings: The line's settings as the user wrote them, with `inputs.source` 'structures'.

    Raises:
        InputError: A file is missing, or there is no RMSF table and a structure that brings none.
    """
    structures = find_structures(settings.inputs.structures).values()
    for path in input_files(settings):
        if not path.is_file():
            raise InputError(f"{path}: no such file")
    silent = [path for path in structures if path.suffix != mdcath.SUFFIX]
    if silent and not settings.inputs.aggregated_rmsf_file:
        raise InputError(
            f"{silent[0]}: has no RMSF, which files of mdCATH ({mdcath.SUFFIX}) alone bring with them; set"
            " voxel.inputs.aggregated_rmsf_file"
        )


def refuse_changed(settings: VoxelSettings, digest: str, *, cache: Path) -> None:
    """Make sure that the inputs are what they were when the build began; only for `inputs.source` 'files'.

    Args:
        settings: The line's settings.
        digest: The plan's digest, as `plan_summary` told it.
        cache: Folder of the caches; while nobody writes the voxel file, its inventory is not made anew.

    Raises:
        IntegrityError: The voxel file, the RMSF or the lists were changed, so that parts of both may be built.
    """
    inputs = settings.inputs
    if inputs.source == "files" and inputs.voxel_file is not None:
        listed, _ = _inventory(inputs.voxel_file, inputs, cache)
        if _plan_digest(settings, listed) != digest:
            raise IntegrityError(
                f"{inputs.voxel_file}, or the tables and lists with it, changed while the dataset was being built; run"
                " the same command again, which builds anew what has changed"
            )


def placed(settings: VoxelSettings, *, demo: Path, voxelized: Path) -> VoxelSettings:
    """The settings, with the inputs where earlier rules put them.

    Args:
        settings: The line's settings.
        demo: Folder of the demo's inputs.
        voxelized: Voxel file made of structures.
    """
    inputs = settings.inputs
    if inputs.source == "structures":
        own = inputs.aggregated_rmsf_file or [voxelized.with_name("rmsf.csv")]
        inputs = inputs.model_copy(update={"voxel_file": voxelized, "aggregated_rmsf_file": own})
    elif inputs.source == "demo":
        lists = {f"{split}_split_file": demo / list_name(split) for split in SPLITS}
        tables = {"voxel_file": demo / VOXELS, "aggregated_rmsf_file": [demo / RMSF]}
        inputs = inputs.model_copy(update={**tables, **lists})
    return settings.model_copy(update={"inputs": inputs})


def input_files(settings: VoxelSettings) -> list[Path]:
    """All files that shape the plan."""
    inputs = settings.inputs
    named = [
        *(inputs.voxel_file, *inputs.aggregated_rmsf_file, inputs.domain_table),
        *(inputs.train_split_file, inputs.val_split_file, inputs.test_split_file),
        settings.plan.group_table,
    ]
    return [path for path in named if path is not None]


def member_path(cache: Path, digest: str) -> Path:
    """Where the residues of the part with this digest are kept."""
    return cache / "voxel-members" / f"{digest}.parquet"


def _load(settings: VoxelSettings, cache: Path | None) -> tuple[VoxelPlan, pa.Table]:
    """The plan, its ledger with all that was read for it, and the inventory."""
    inputs = settings.inputs
    if inputs.voxel_file is None:
        raise InputError("voxel.inputs.voxel_file is not set")
    listed, ledger = _inventory(inputs.voxel_file, inputs, cache)
    rmsf = read_rmsf(inputs.aggregated_rmsf_file, unit=inputs.rmsf_unit, ledger=ledger, settings=settings.plan)
    lists = split_lists(listed["domain"].unique().to_pylist(), inputs, settings.plan)
    table = read_domain_table(inputs.domain_table) if inputs.domain_table else None
    plan = make_plan(listed, rmsf, lists, settings.plan, suffixes=inputs.domain_suffixes, table=table)
    return replace(plan, ledger=Ledger.merge([ledger, plan.ledger])), listed


def _inventory(path: Path, inputs: VoxelInputSettings, cache: Path | None) -> tuple[pa.Table, Ledger]:
    """The inventory, and a ledger of what is no grid; listing a large file takes minutes, so it is done once."""
    ledger = Ledger("voxel", Reason)
    if cache is None or not path.is_file():
        return _listed(path, inputs, ledger), ledger
    name = f"voxel-inventory-{keyed_hash(_state([path]), _reading(inputs)):016x}"
    table_file, ledger_file = cache / f"{name}.parquet", cache / f"{name}.json"
    with suppress(InputError, IntegrityError):  # a cache that is not there, or cannot be read, only costs time
        return INVENTORY.read(table_file), Ledger.from_dict(read_json(ledger_file), Reason)
    found = _listed(path, inputs, ledger)
    INVENTORY.write(table_file, found)
    write_json(ledger_file, ledger.to_dict())
    return found, ledger


def _listed(path: Path, inputs: VoxelInputSettings, ledger: Ledger) -> pa.Table:
    return inventory(path, wanted_channels=inputs.channel_order, ledger=ledger, per_temperature=inputs.per_temperature)


def _reading(inputs: VoxelInputSettings) -> str:
    """The settings that shape an inventory."""
    return inputs.model_dump_json(include={"channel_order", "per_temperature"})


def _state(paths: Iterable[Path]) -> str:
    """Stands for files as long as nobody writes them."""
    states = [(path, path.stat()) for path in paths if path.is_file()]
    return f"{keyed_hash(*(f'{path}|{s.st_size}|{s.st_mtime_ns}' for path, s in states)):016x}"


def _summary(settings: VoxelSettings, cache: Path) -> PlanSummary:
    plan, listed = _load(settings, cache)
    parts = range(settings.plan.num_parts)
    members = [plan.residues.filter(pc.equal(plan.residues["part"], part)) for part in parts]
    return PlanSummary(
        plan=_plan_digest(settings, listed),
        parts=tuple(_keep(table, listed, settings.inputs, cache) for table in members),
        residues=tuple(table.num_rows for table in members),
        counts=plan.counts,
        sizes=_sizes(plan, settings, listed),
    )


def _plan_digest(settings: VoxelSettings, listed: pa.Table) -> str:
    """Digest of all that the plan is a function of; where the files lie is not in it."""
    tables = [path for path in input_files(settings) if path != settings.inputs.voxel_file]
    facts = [settings.plan.model_dump_json(exclude={"group_table"}), _reading(settings.inputs), _fingerprint(listed)]
    facts += [settings.inputs.model_dump_json(include={"rmsf_unit", "domain_suffixes"})]
    facts += [sha256_file(path) for path in tables if path.is_file()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _keep(residues: pa.Table, listed: pa.Table, inputs: VoxelInputSettings, cache: Path) -> str:
    """Keep the residues of a part, and return their digest: it changes when a grid does."""
    mine = listed.take(pc.index_in(_names(residues), value_set=_names(listed)))
    digest = hashlib.sha256(f"{MEMBERS.digest}{_reading(inputs)}{_fingerprint(mine)}".encode()).hexdigest()[:16]
    if not member_path(cache, digest).is_file():
        MEMBERS.write(member_path(cache, digest), residues.select(MEMBERS.names))
    return digest


def _fingerprint(listed: pa.Table) -> str:
    """Digest of the names and contents of grids, in their order."""
    state = hashlib.sha256()
    for column in (_names(listed), listed["fingerprint"]):
        state.update("\n".join(column.to_pylist()).encode())
    return state.hexdigest()


def _names(table: pa.Table) -> pa.Array:
    return pc.binary_join_element_wise(*(table[name] for name in ("domain", "chain", "residue")), "/").combine_chunks()


def _sizes(plan: VoxelPlan, settings: VoxelSettings, listed: pa.Table) -> OutputBytes:
    if settings.inputs.voxel_file is None:
        raise InputError("voxel.inputs.voxel_file is not set")
    with open_voxels(settings.inputs.voxel_file, wanted=settings.inputs.channel_order) as file:
        grid = file.shape.dims
    (kind,) = pc.mode(listed["dtype"].dictionary_encode().combine_chunks().indices).to_pylist()
    dtype = listed["dtype"].dictionary_encode().combine_chunks().dictionary[kind["mode"]].as_py()
    return total_bytes(plan, settings.export, batch_size=settings.plan.batch_size, grid=grid, source_dtype=dtype)


def _sentence(counts: Mapping[str, Mapping[str, int]], sizes: OutputBytes) -> str:
    samples = ", ".join(f"{n['samples']:,} {split}" for split, n in counts.items())
    told = f"samples: {samples}; store about {sizes.store_typical:,} bytes, at most {sizes.store_most:,}"
    for name, splits in sizes.batches.items():
        told += f"; {name} files exactly {sum(splits.values()):,} bytes"
    return told


def _known(file: Path) -> tuple[str, PlanSummary] | None:
    if not file.is_file():
        return None
    try:
        content = read_json(file)
        facts = content["summary"]
        tuples = {name: tuple(facts[name]) for name in ("parts", "residues")}
        return content["state"], PlanSummary(**{**facts, **tuples, "sizes": OutputBytes(**facts["sizes"])})
    except (InputError, KeyError, TypeError):
        return None  # a cache that cannot be read only costs time
