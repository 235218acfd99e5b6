"""Residues of the voxel file joined with their RMSF, on whole columns, with a verdict on every residue."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainyard.voxel.columns import Codes, codes, first_valid, ranks
from trainyard.voxel.names import normalise_resname
from trainyard.voxel.reasons import Reason
from trainyard.voxel.settings import Policy, VoxelPlanSettings
from trainyard.voxel.verdicts import Mask, Verdicts
from trainyard.yard.errors import InputError

_log = logging.getLogger(__name__)

MISNUMBERED_SHARE = 0.5
"""A domain in which more of the residue names differ is numbered differently in the two inputs. Then the names that
agree do so by chance (1 in 15 does), and their labels are wrong too."""

_SHOWN = 5


class Join:
    """Residues, their verdicts, and the pairs of residue and RMSF row.

    Attributes:
        rmsf: The RMSF table as it was given.
        residues: The inventory's rows, sorted by domain, chain, resid, icode and temperature of the grid.
        domain: Domain of every residue, as a position in `domains`; shape `(n,)`.
        domains: Names of the domains, sorted.
        chain: Rank of the chain's name, shape `(n,)`.
        verdicts: One per residue.
        pair_residue: Residue of every pair, ascending, shape `(p,)`.
        pair_row: RMSF row of every pair, by ascending temperature within a residue, shape `(p,)`.
        joined: Residues that have RMSF, whatever their names, shape `(n,)`.
        differing: Those of them whose names differ in the two inputs, shape `(n,)`.
        temperatures: Temperatures of the RMSF table, K, ascending.
        warnings: What was let through but should be known.
    """

    def __init__(self, inventory: pa.Table, rmsf: pa.Table, rmsf_domains: Mapping[str, str]) -> None:
        """Sort the residues and find their RMSF rows.

        Args:
            inventory: Contract INVENTORY, domains that are used only.
            rmsf: Contract RMSF.
            rmsf_domains: Name in the RMSF table by name in the voxel file, for all domains of the inventory.

        Raises:
            InputError: The RMSF table repeats a residue at one temperature.
        """
        self.rmsf = rmsf
        self.warnings: list[str] = []
        self._sort(inventory)
        n = self.residues.num_rows
        self.verdicts = Verdicts(n)
        self.joined: Mask = np.zeros(n, np.bool_)
        self.differing: Mask = np.zeros(n, np.bool_)
        self._kelvin = rmsf.column("temperature").to_numpy()
        self.temperatures: NDArray[np.float32] = np.unique(self._kelvin)
        self._pair(rmsf_domains)

    def judge(self, settings: VoxelPlanSettings) -> None:
        """Reject what is no residue, not used, ambiguous, without RMSF, misnamed or incomplete.

        Raises:
            InputError: A policy is `error` and its case occurs.
        """
        if settings.chains == "first":
            self.verdicts.reject(~self._in_first_chain(), Reason.CHAIN_NOT_USED)
        self.verdicts.reject(~self._numbered, Reason.NOT_A_RESIDUE)
        # The RMSF table tells residues apart by number alone, so one number in two chains would be a guess.
        self.verdicts.reject(self._shares_number(), Reason.REPEATED_RESIDUE)
        self.verdicts.reject(self._rows_per_residue() == 0, Reason.RESIDUE_WITHOUT_RMSF)
        self.joined = self.verdicts.kept
        self._judge_names(settings.resname_mismatch)
        self._judge_temperatures(settings.missing_temperatures)

    @property
    def wanted_rows(self) -> Codes:
        """How many RMSF rows each residue should have, shape `(n,)`: one per temperature that its grid serves."""
        return np.where(np.isnan(self._grid_kelvin), self.temperatures.size, 1)

    def kept_pairs(self) -> tuple[Codes, Codes]:
        """Residue and RMSF row of the pairs whose residue is kept."""
        keep = self.verdicts.kept[self.pair_residue]
        return self.pair_residue[keep], self.pair_row[keep]

    def stratum(self, name: str) -> pa.ChunkedArray:
        """An optional column of the RMSF table, one value per residue: that of the lowest temperature with one."""
        column = self.rmsf.column(name).take(pa.array(self.pair_row))
        return first_valid(column, self.pair_residue, self.residues.num_rows)

    def per_domain(self, mask: Mask) -> Codes:
        """Count the residues of a mask, by position in `domains`."""
        return np.bincount(self.domain[mask], minlength=len(self.domains))

    def name(self, residue: int) -> str:
        """Domain, chain and name of a residue."""
        return residue_name(self.residues, residue)

    def describe(self, residue: int, reason: Reason) -> tuple[str, str]:
        """Item and detail for the ledger."""
        if reason is Reason.RESNAME_MISMATCH:
            return self.name(residue), self._names(residue)
        if reason is Reason.MISSING_TEMPERATURES:
            return self.name(residue), self.lacking(residue)
        details = {
            Reason.REPEATED_RESIDUE: "the RMSF table cannot tell it from another residue of this number",
            Reason.CHAIN_NOT_USED: "plan.chains is 'first'",
        }
        return self.name(residue), details.get(reason, "")

    def lacking(self, residue: int) -> str:
        """Which temperatures a residue lacks."""
        start, stop = np.searchsorted(self.pair_residue, [residue, residue + 1])
        missing = np.setdiff1d(self.temperatures, self._kelvin[self.pair_row[start:stop]])
        return f"no RMSF at {', '.join(f'{kelvin:g}' for kelvin in missing)} K"

    def _sort(self, inventory: pa.Table) -> None:
        domain, self.domains = ranks(inventory.column("domain"))
        chain, _ = ranks(inventory.column("chain"))
        numbered = inventory.column("resid").is_valid().to_numpy()
        resid = inventory.column("resid").fill_null(0).to_numpy().astype(np.int64)
        icode, icodes = ranks(inventory.column("icode").fill_null(""))
        kelvin = np.asarray(inventory.column("temperature").to_numpy(), np.float64)
        order = np.lexsort((np.nan_to_num(kelvin, nan=-1), icode, resid, chain, domain))
        self.residues = inventory.take(pa.array(order))
        self.domain, self.chain = domain[order], chain[order]
        self._numbered, self._grid_kelvin = numbered[order], kelvin[order]
        self._resid, self._icode, self._icodes = resid[order], icode[order], icodes

    def _pair(self, rmsf_domains: Mapping[str, str]) -> None:
        known = {rmsf_domains[domain]: i for i, domain in enumerate(self.domains)}
        row_domain = codes(self.rmsf.column("domain_id"), dict(known))
        icode_codes = {icode: i for i, icode in enumerate(self._icodes)}
        row_icode = codes(self.rmsf.column("icode").fill_null(""), icode_codes)
        row_resid = self.rmsf.column("resid").to_numpy().astype(np.int64)
        # Dense codes of number and insertion code, so that the keys of domain and residue fit 64 bits.
        numbers, number = np.unique(
            np.concatenate([self._resid, row_resid]) * len(icode_codes) + np.concatenate([self._icode, row_icode]),
            return_inverse=True,
        )
        self._key = self.domain * numbers.size + number[: self._resid.size]
        row_key = np.where(row_domain < len(known), row_domain * numbers.size + number[self._resid.size :], -1)
        rows = np.lexsort((self._kelvin, row_key))
        rows = rows[np.searchsorted(row_key[rows], 0) :]
        row_key = row_key[rows]
        self._refuse_repeated(rows, row_key)
        first = np.searchsorted(row_key, self._key)
        counts = np.where(self._numbered, np.searchsorted(row_key, self._key, side="right") - first, 0)
        residue = np.repeat(np.arange(counts.size), counts)
        row = rows[np.arange(residue.size) - np.repeat(np.cumsum(counts) - counts, counts) + first[residue]]
        served = np.isnan(self._grid_kelvin[residue]) | (self._grid_kelvin[residue] == self._kelvin[row])
        self.pair_residue, self.pair_row = residue[served], row[served]

    def _refuse_repeated(self, rows: Codes, keys: Codes) -> None:
        kelvin = self._kelvin[rows]
        twice = np.flatnonzero((keys[1:] == keys[:-1]) & (kelvin[1:] == kelvin[:-1]))
        if twice.size:
            row = self.rmsf.slice(int(rows[twice[0]]), 1).to_pylist()[0]
            raise InputError(
                f"the RMSF table has {twice.size} residues twice at one temperature, such as {row['domain_id']}"
                f" {row['resid']} at {row['temperature']:g} K; clean it with read_rmsf"
            )

    def _in_first_chain(self) -> Mask:
        """Whether a residue is in the first chain, by name, of its domain that has numbered residues."""
        numbered = np.flatnonzero(self._numbered)
        domains, where = np.unique(self.domain[numbered], return_index=True)
        first = np.full(len(self.domains), -1)
        first[domains] = self.chain[numbered[where]]
        return np.asarray(self.chain == first[self.domain])

    def _shares_number(self) -> Mask:
        kelvins, kelvin = np.unique(np.nan_to_num(self._grid_kelvin, nan=-1), return_inverse=True)
        grid = np.where(self.verdicts.kept, self._key * kelvins.size + kelvin, -1)
        _, inverse, counts = np.unique(grid, return_inverse=True, return_counts=True)
        return np.asarray((counts[inverse] > 1) & self.verdicts.kept)

    def _rows_per_residue(self) -> Codes:
        return np.bincount(self.pair_residue, minlength=self.residues.num_rows)

    def _judge_names(self, policy: Policy) -> None:
        known: dict[str, int] = {}
        label = codes(self.residues.column("label"), known, normalise_resname)[self.pair_residue]
        resname = codes(self.rmsf.column("resname"), known, normalise_resname)[self.pair_row]
        # A voxel file without labels cannot be checked.
        differs = (label != resname) & (label >= 0) & (resname >= 0)
        self.differing[self.pair_residue[differs]] = True
        self.differing &= self.joined
        if not self.differing.any():
            return
        if policy == "reject":
            misnumbered = self.per_domain(self.differing) > MISNUMBERED_SHARE * self.per_domain(self.joined)
            self.verdicts.reject(self.differing | misnumbered[self.domain], Reason.RESNAME_MISMATCH)
            return
        self._tell(policy, self.differing, "have another name in the RMSF table", "plan.resname_mismatch", self._names)

    def _judge_temperatures(self, policy: Policy) -> None:
        incomplete = self.verdicts.kept & (self._rows_per_residue() < self.wanted_rows)
        if policy == "reject":
            self.verdicts.reject(incomplete, Reason.MISSING_TEMPERATURES)
        elif incomplete.any():
            self._tell(policy, incomplete, "lack temperatures", "plan.missing_temperatures", self.lacking)

    def _tell(self, policy: Policy, mask: Mask, what: str, key: str, detail: Callable[[int], str]) -> None:
        first = "; ".join(f"{self.name(i)}: {detail(i)}" for i in np.flatnonzero(mask)[:_SHOWN].tolist())
        message = f"{mask.sum()} residues {what} ({first})"
        if policy == "error":
            raise InputError(f"{message}. Correct the inputs, or set {key} to 'reject' or 'warn'")
        _log.warning("%s; they are kept, because %s is 'warn'", message, key)
        self.warnings.append(message)

    def _names(self, residue: int) -> str:
        if not self.differing[residue]:
            return "most other names of its domain differ: the residues are numbered differently"
        start, stop = np.searchsorted(self.pair_residue, [residue, residue + 1])
        names = self.rmsf.column("resname").take(pa.array(self.pair_row[start:stop])).unique().to_pylist()
        return (
            f"{self.residues.column('label')[residue].as_py()} in the voxel file, {'/'.join(names)} in the RMSF table"
        )


def residue_name(residues: pa.Table, row: int) -> str:
    """Domain, chain and name of a residue, for people."""
    return " ".join(residues.column(column)[row].as_py() for column in ("domain", "chain", "residue"))
