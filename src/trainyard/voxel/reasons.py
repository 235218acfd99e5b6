"""The closed list of reasons for which the voxel line rejects an item."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a domain, residue, RMSF row or sample did not make it; the value is what people read."""

    # rows of the RMSF table
    MISSING_VALUE = "missing_value"
    FRACTIONAL_RESID = "fractional_resid"
    NEGATIVE_RMSF = "negative_rmsf"
    REPEATED_ROW = "repeated_row"
    CONFLICTING_ROWS = "conflicting_rows"
    AVERAGE_TEMPERATURE = "average_pseudo_temperature"
    TEMPERATURE_NOT_USED = "temperature_not_used"
    # domains
    NOT_IN_VOXEL_FILE = "not_in_voxel_file"
    NOT_IN_RMSF = "not_in_rmsf_table"
    NOT_IN_SPLITS = "in_no_split_list"
    NO_RESIDUES = "no_residue_group"
    OVER_MAX_DOMAINS = "over_max_domains"
    # residues
    CHAIN_NOT_USED = "chain_not_used"
    RESIDUE_WITHOUT_RMSF = "residue_without_rmsf"
    RESNAME_MISMATCH = "residue_name_mismatch"
    MISSING_TEMPERATURES = "missing_temperatures"
    WRONG_SHAPE = "wrong_shape"
    NOT_FINITE = "not_finite"
    NOT_BINARY = "not_binary_though_declared"
    EMPTY_GRID = "empty_grid"
    NO_CA_AT_CENTRE = "no_ca_at_centre"
    UNREADABLE = "unreadable"
    REPEATED_RESIDUE = "repeated_residue_number"
    NOT_A_RESIDUE = "not_a_residue"
    # samples
    GRID_REJECTED = "grid_rejected"
    # structures
    MISSING_BACKBONE = "missing_backbone_atom"
    NO_FRAME = "backbone_atoms_in_one_line"
    ATOMS_COLLIDE = "two_atoms_in_one_voxel"
