"""Read bases of a genome FASTA, plain or compressed, as small integers: A 0, C 1, G 2, T 3, anything else 4.

Soft-masked (lower-case) letters are bases like any other. Places are 1-based and closed.
"""

from __future__ import annotations

import gzip
import shutil
import warnings
import zlib
from pathlib import Path

import numpy as np
import pyfaidx
from numpy.typing import NDArray

from trainyard.yard.errors import InputError
from trainyard.yard.files import atomic_path, faults_named
from trainyard.yard.identity import keyed_hash

Bases = NDArray[np.uint8]

UNKNOWN = 4
"""Code of every letter but A, C, G, T, and of what lies beyond a contig."""
_CODE = np.full(256, UNKNOWN, np.uint8)
for _code, _letters in enumerate((b"Aa", b"Cc", b"Gg", b"Tt")):
    _CODE[list(_letters)] = _code
_COMPLEMENT = np.array([3, 2, 1, 0, UNKNOWN], np.uint8)


class Genome:
    """Random access to a FASTA.

    The index stands in a folder of ours, never beside the user's file. A compressed file (gzip, bgzip) is unpacked
    there once; a changed file is noticed by size and time.
    """

    def __init__(self, path: Path, *, cache: Path) -> None:
        """Open a FASTA, making what is missing of index and unpacked copy.

        Args:
            path: The FASTA.
            cache: Folder for index and copy.

        Raises:
            InputError: Missing, not FASTA, lines of different lengths within a contig, or a contig named twice.
        """
        self.path = path
        self._faidx = _open(path, cache)
        self.contigs: dict[str, int] = {name: int(record.rlen) for name, record in self._faidx.index.items()}
        """Name -> length in nt, in file order."""

    def fetch(self, chrom: str, start: int, end: int) -> Bases:
        """Bases of a contig in genomic direction.

        Args:
            chrom: Contig.
            start: First base; may lie before the contig.
            end: Last base; may lie past the contig.

        Returns:
            Codes, shape `(end - start + 1,)`; 4 beyond the contig.

        Raises:
            InputError: No such contig, or the file has become shorter than its index says.
            ValueError: `end < start - 1`.
        """
        if chrom not in self.contigs:
            raise InputError(f"{self.path}: has no contig {chrom}; see splice.inputs.contig_aliases")
        if end < start - 1:
            raise ValueError(f"{chrom}:{start}-{end} ends before it starts")
        codes = np.full(end - start + 1, UNKNOWN, np.uint8)
        inside = max(start, 1), min(end, self.contigs[chrom])
        if inside[0] <= inside[1]:
            text = self._faidx.from_file(chrom, *inside).encode()
            if len(text) != inside[1] - inside[0] + 1:
                raise InputError(f"{self.path}: {chrom} is cut off; the file has changed since it was indexed")
            codes[inside[0] - start : inside[1] - start + 1] = _CODE[np.frombuffer(text, np.uint8)]
        return codes

    def gene(self, chrom: str, start: int, end: int, strand: str) -> Bases:
        """Bases of a gene in transcript direction, shape `(end - start + 1,)`."""
        return self.flanked(chrom, start, end, strand, left=0, right=0)

    def flanked(self, chrom: str, start: int, end: int, strand: str, *, left: int, right: int) -> Bases:
        """Bases of a gene and its surroundings, in transcript direction.

        Args:
            chrom: Contig.
            start: First base of the gene on the contig.
            end: Last base of the gene on the contig.
            strand: + or -.
            left: Bases wanted before the gene, in transcript direction.
            right: Bases wanted after it.

        Returns:
            Codes, shape `(left + length + right,)`; 4 beyond the contig.

        Raises:
            ValueError: Another strand.
        """
        if strand == "+":
            return self.fetch(chrom, start - left, end + right)
        if strand == "-":
            return reverse_complement(self.fetch(chrom, start - right, end + left))
        raise ValueError(f"strand is {strand!r}, not + or -")

    def close(self) -> None:
        """Close the file."""
        self._faidx.close()

    def __enter__(self) -> Genome:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def reverse_complement(codes: Bases) -> Bases:
    """The other strand, read in its own direction."""
    return _COMPLEMENT[codes[::-1]]


def encode(sequence: str) -> Bases:
    """Codes of a sequence of letters."""
    return _CODE[np.frombuffer(sequence.encode(), np.uint8)]


def _open(path: Path, cache: Path) -> pyfaidx.Faidx:
    if not path.is_file():
        raise InputError(f"{path}: no such file; set splice.inputs.fasta")
    with faults_named(path):
        state = path.stat()
        stem = f"genome-{keyed_hash(path.name, state.st_size, state.st_mtime_ns):016x}"
        plain = _unpacked(path, cache / f"{stem}.fa")
    index = cache / f"{stem}.fai"
    if not index.exists():
        _sweep(cache, stem)
        with atomic_path(index) as part:
            _faidx(path, plain, part, build=True).close()
    return _faidx(path, plain, index, build=False)


def _faidx(path: Path, plain: Path, index: Path, *, build: bool) -> pyfaidx.Faidx:
    try:
        with warnings.catch_warnings():
            # Whether the index is up to date shows in its name, not in its time.
            warnings.simplefilter("ignore", RuntimeWarning)
            return pyfaidx.Faidx(str(plain), indexname=str(index), build_index=build, rebuild=build)
    except (pyfaidx.FastaIndexingError, ValueError, IndexError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: not a FASTA that can be read ({error}); each contig needs a name of its own, and lines of one"
            " length but for the last (samtools faidx and seqkit seq -w 60 tell and repair)"
        ) from error


def _unpacked(path: Path, copy: Path) -> Path:
    """The file itself, or its unpacked copy where it is compressed: bgzip is gzip in blocks, and is read as such."""
    with path.open("rb") as handle:
        if handle.read(2) != b"\x1f\x8b":
            return path
    if not copy.exists():
        _sweep(copy.parent, copy.stem)
        try:
            with gzip.open(path) as source, atomic_path(copy) as part, part.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{path}: cannot be unpacked ({error}); the download may be incomplete") from error
    return copy


def _sweep(cache: Path, stem: str) -> None:
    """Remove index and copy of a FASTA that stood in the place of this one."""
    for old in cache.glob("genome-*.fa*") if cache.is_dir() else ():
        if old.stem != stem:
            old.unlink(missing_ok=True)
