"""Tables of the voxel line: names, units and roles (docs/voxel.md)."""

from __future__ import annotations

import pyarrow as pa

from trainyard.yard.tables import Column, Role, TableContract

SPLITS = ("train", "val", "test")
_COUNTING = "DELTA_BINARY_PACKED"  # numbers that grow
_UNLIKE = "BYTE_STREAM_SPLIT"  # floats that do not repeat
_KEY, _META, _NEVER = Role.KEY, Role.METADATA, Role.NEVER_A_FEATURE

RMSF = TableContract(
    "voxel_rmsf",
    (
        Column("domain_id", pa.string(), _KEY, description="domain as the RMSF table names it", nullable=False),
        Column("resid", pa.int32(), _KEY, description="PDB residue number; 0 and negatives are legal", nullable=False),
        Column("icode", pa.string(), _KEY, description="insertion code, mostly empty"),
        Column("resname", pa.string(), _META, description="three-letter code as in the table"),
        Column("temperature", pa.float32(), Role.FEATURE, "K", "simulation temperature", nullable=False),
        Column("target_rmsf", pa.float32(), Role.LABEL, "nm", "root-mean-square fluctuation of CA", nullable=False),
        Column("relative_accessibility", pa.float32(), _NEVER, description="relative accessible area, 0 to 1"),
        Column("dssp", pa.string(), _NEVER, description="DSSP code"),
        Column("secondary_structure", pa.int8(), _NEVER, description="0 helix, 1 sheet, 2 other; null: not known"),
    ),
)

INVENTORY = TableContract(
    "voxel_inventory",
    (
        Column("domain", pa.string(), _KEY, description="name in the voxel file", nullable=False),
        Column("chain", pa.string(), _KEY, description="chain of the structure", nullable=False),
        Column("residue", pa.string(), _KEY, description="name in the voxel file, e.g. 12, -3, 10A", nullable=False),
        Column("resid", pa.int32(), _META, description="residue number; null: the name is no residue number"),
        Column("icode", pa.string(), _META, description="insertion code"),
        Column("label", pa.string(), _META, description="three-letter code of the residue"),
        Column("shape", pa.string(), _META, description="e.g. 21,21,21,5"),
        Column("dtype", pa.string(), _META, description="as numpy names it"),
        Column("fingerprint", pa.string(), _META, description="16 hex digits of the stored bytes and the label"),
        Column("temperature", pa.float32(), _META, "K", "null: the grid serves all temperatures"),
    ),
)

PARTS = TableContract(
    "voxel_parts",
    (
        Column("domain", pa.string(), _KEY, description="name in the voxel file", nullable=False),
        Column("chain", pa.string(), _KEY, description="chain of the structure", nullable=False),
        Column("residue", pa.string(), _KEY, description="name in the voxel file", nullable=False),
        Column("resid", pa.int32(), _META, description="residue number", encoding=_COUNTING),
        Column("icode", pa.string(), _META, description="insertion code"),
        Column("label", pa.string(), _META, description="three-letter code of the residue"),
        Column("nnz", pa.int32(), _META, description="voxels that are set", nullable=False),
        Column(
            "crc32",
            pa.uint32(),
            _META,
            description="of the grid, whatever its codec; see voxel/codec.py",
            encoding="PLAIN",
        ),
    ),
)

RESIDUES = TableContract(
    "voxel_residues",
    (
        Column(
            "residue_uid",
            pa.int32(),
            _KEY,
            description="dense, by domain, chain, resid, icode",
            nullable=False,
            encoding=_COUNTING,
        ),
        Column("domain", pa.string(), _META, description="name in the voxel file"),
        Column("rmsf_domain", pa.string(), _META, description="name in the RMSF table"),
        Column("chain", pa.string(), _META, description="chain of the structure"),
        Column("resid", pa.int32(), _META, description="PDB residue number", encoding=_COUNTING),
        Column("icode", pa.string(), _META, description="insertion code"),
        Column("residue", pa.string(), _META, description="name in the voxel file"),
        Column("label", pa.string(), _META, description="three-letter code"),
        Column("split", pa.string(), _META, description="train, val or test"),
        Column("part", pa.int32(), _META, description="store part, 0-based"),
        Column("row", pa.int32(), _META, description="row of the grid in its part", encoding=_COUNTING),
        Column(
            "relative_accessibility",
            pa.float32(),
            _NEVER,
            description="relative accessible area, 0 to 1",
            encoding=_UNLIKE,
        ),
        Column("dssp", pa.string(), _NEVER, description="DSSP code"),
        Column("secondary_structure", pa.int8(), _NEVER, description="0 helix, 1 sheet, 2 other; null: not known"),
    ),
)

MEMBERS = TableContract("voxel_members", tuple(column for column in RESIDUES.columns if column.name in PARTS.names))
"""What a part is to hold; not which part that is, since the same residues may be another part of another number."""

SAMPLES = TableContract(
    "voxel_samples",
    (
        Column(
            "sample_id",
            pa.int64(),
            _KEY,
            description="position in the split's order",
            nullable=False,
            encoding=_COUNTING,
        ),
        Column("split", pa.string(), _META, description="train, val or test"),
        Column("residue_uid", pa.int32(), _KEY, description="residue, as in residues.parquet", encoding="PLAIN"),
        Column("temperature", pa.float32(), _META, "K", "simulation temperature"),
        Column("scaled_temp", pa.float32(), Role.FEATURE, description="temperature scaled by the train split's range"),
        Column("target", pa.float32(), Role.LABEL, "nm", "RMSF", encoding=_UNLIKE),
        Column("batch_index", pa.int32(), _META, description="number of the batch file"),
        Column("row_in_batch", pa.int32(), _META, description="0-based row in the batch file"),
    ),
)

DOMAINS = TableContract(
    "voxel_domains",
    (
        Column("domain", pa.string(), _KEY, description="name in the voxel file or the list", nullable=False),
        Column("rmsf_domain", pa.string(), _META, description="name in the RMSF table; null: none"),
        Column("method", pa.string(), _META, description="exact, table, suffix or none"),
        Column("evidence", pa.string(), _META, description="what the match rests on"),
        Column("split", pa.string(), _META, description="train, val, test, or empty"),
        Column("pdb", pa.string(), _META, description="PDB entry of the domain id"),
        Column("pdb_chain", pa.string(), _META, description="PDB entry and chain of the domain id"),
        Column("residues", pa.int32(), _META, description="residues used"),
        Column("part", pa.int32(), _META, description="store part, 0-based"),
    ),
)

REJECTS = TableContract(
    "voxel_rejects",
    (
        Column("kind", pa.string(), _KEY, description="kind of the item: domain, residue, grid, sample ..."),
        Column("item", pa.string(), _KEY, description="the item, e.g. domain/chain/residue"),
        Column("reason", pa.string(), _META, description="code from the closed list of reasons"),
        Column("detail", pa.string(), _META, description="what was found"),
    ),
)
