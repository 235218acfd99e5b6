"""What the Snakefile must know of the splice line before anything is built: how many genes there can be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from trainyard.splice.genelist import places, read_gene_file
from trainyard.splice.naming import batch_label
from trainyard.splice.plan import batch_count, batch_range
from trainyard.splice.reasons import Reason
from trainyard.splice.settings import (
    ERROR_RANKED,
    SpliceInputSettings,
    SpliceModelSettings,
    SpliceSelectionSettings,
    SpliceSettings,
)
from trainyard.splice.split import bare_contig
from trainyard.yard.errors import InputError
from trainyard.yard.files import read_json, write_json
from trainyard.yard.identity import keyed_hash
from trainyard.yard.ledger import Ledger


def placed(settings: SpliceSettings, *, demo: Path) -> SpliceSettings:
    """The settings, with the inputs where an earlier rule puts them.

    Args:
        settings: The line's settings.
        demo: Folder of the demo's inputs.
    """
    if settings.inputs.source != "demo":
        return settings
    from trainyard.demo import splice as simulated

    files = {"fasta": demo / simulated.FASTA, "annotation": demo / simulated.ANNOTATION}
    return settings.model_copy(update={"inputs": settings.inputs.model_copy(update=files)})


def gene_limits(settings: SpliceSettings, *, cache: Path, trust_cache: bool = False) -> tuple[int, int]:
    """Most places that the genes of the dataset can take, and most that the base model scores for it.

    Where `n_genes` (and, for a policy that ranks by errors, `pool`) is set, it is the number; otherwise genes are
    counted in the demo's settings, in the gene file, or in the annotation, which is read once. Genes that a file names
    beside a policy come on top: what the policy may choose, such as a biotype, does not bind them.

    Args:
        settings: The line's settings.
        cache: Folder for the count of an annotation.
        trust_cache: Do not look whether the annotation has changed since it was counted.

    Raises:
        InputError: The gene file or the annotation cannot be read.
    """
    selection = settings.selection
    ranked = selection.policy in ERROR_RANKED
    listed = len(_asked(selection))
    # What ranks genes sees no more of the pool than is scored, but all that the gene file names.
    scored = None if selection.pool is None else max(selection.pool, listed)
    stated = scored if ranked else selection.n_genes
    if selection.n_genes is not None and stated is not None:
        return min(selection.n_genes, stated), stated
    available = listed if selection.policy == "custom" else _available(settings, cache, trust_cache) + listed
    if not ranked:
        return available, available
    scored = available if scored is None else min(available, scored)
    return scored if selection.n_genes is None else min(scored, selection.n_genes), scored


def model_files(model: SpliceModelSettings) -> list[Path]:
    """Files that scores come from: weights, and scores that exist.

    Of a score store of another run these are its indexes and its card: what it holds for a key never changes. Of a
    folder of tables they are all files below it, as the import reads them.
    """
    source = model.scores
    if source is None:
        return list(model.weights)
    if not source.is_dir():
        return [*model.weights, source]
    from trainyard.splice.scorestore import CARD

    found = source.iterdir() if (source / CARD).is_file() else source.rglob("*")
    return [*model.weights, *sorted(found)]


def refuse_missing(settings: SpliceSettings) -> None:
    """Make sure that the files that the user names are there, before anything runs.

    Snakemake does not: where inputs are missing, it takes what an earlier run has made of others.

    Args:
        settings: The line's settings as the user wrote them.

    Raises:
        InputError: A file is missing; the message names the key.
    """
    inputs, model = settings.inputs, settings.model
    named = [
        *((f"inputs.{key}", getattr(inputs, key)) for key in ("fasta", "annotation") if inputs.source == "files"),
        *(("model.weights", path) for path in model.weights if model.backend != "toy"),
        ("selection.gene_file", settings.selection.gene_file),
        ("split.group_table", settings.split.group_table),
        ("train.baseline", settings.train.baseline if settings.train.enabled else None),
    ]
    for key, path in named:
        if path is not None and not path.is_file():
            raise InputError(f"{path}: no such file; see splice.{key}")
    if model.scores is not None and not model.scores.exists():
        raise InputError(f"{model.scores}: no such file or folder; see splice.model.scores")


def batches(places: int, batch_size: int) -> list[str]:
    """Labels of the batches of so many places, at least one."""
    return [batch_label(batch) for batch in range(1, max(1, batch_count(places, batch_size)) + 1)]


def member_digests(selection: SpliceSelectionSettings, limit: int) -> Iterator[str]:
    """For each batch of the pool, what stands for the part of the gene file that its genes depend on.

    Batches with genes of the file alone depend on the file up to their end, since what was named before is not taken
    again; where the policy chooses, it leaves out whatever the file names.

    Args:
        selection: The selection.
        limit: Places of the pool that batches are made of.

    Raises:
        InputError: The gene file cannot be read.
    """
    texts, known = iter(_asked(selection)), hashlib.sha256()
    size = selection.batch_size
    for batch, _ in enumerate(batches(limit, size), start=1):
        for text in islice(texts, len(batch_range(batch, batch_size=size, places=limit))):
            known.update(f"{json.dumps(text)}\n".encode())
        yield known.hexdigest()[:16]


def _asked(selection: SpliceSelectionSettings) -> list[str]:
    """What the gene file asks for, by place."""
    file = selection.gene_file
    return [] if file is None else list(places(read_gene_file(file, gene_col=selection.gene_col)))


def _available(settings: SpliceSettings, cache: Path, trust_cache: bool) -> int:
    """Most genes that a policy may choose from."""
    if settings.inputs.source == "demo":
        from trainyard.demo.splice import eligible_genes

        return eligible_genes(settings.demo)
    return _annotated_genes(settings, cache, trust_cache)


def _annotated_genes(settings: SpliceSettings, cache: Path, trust_cache: bool) -> int:
    """Genes of the annotation that the selection may take, as far as the annotation alone tells."""
    path, selection = settings.inputs.annotation, settings.selection
    if path is None or not path.is_file():
        raise InputError(f"{path}: the annotation is not there; set splice.inputs.annotation")
    inputs, filters = settings.inputs, (selection.gene_types, selection.min_sites > 0)
    key = keyed_hash("splice-genes", str(path), repr((filters, inputs.contigs, inputs.contig_aliases)))
    file = cache / f"splice-genes-{key:016x}.json"
    status = path.stat()
    stamp = [status.st_size, status.st_mtime_ns]
    known = _known(file)
    if known is not None and (trust_cache or known[0] == stamp):
        return known[1]
    genes = _count(path, inputs, frozenset(selection.gene_types), spliced=selection.min_sites > 0)
    write_json(file, {"stamp": stamp, "genes": genes})
    return genes


def _count(path: Path, inputs: SpliceInputSettings, gene_types: frozenset[str], *, spliced: bool) -> int:
    import numpy as np

    from trainyard.splice.entities import load_annotation

    found = load_annotation(path, Ledger("splice", Reason))
    wanted = np.array([not gene_types or kind in gene_types for kind in found.genes.types], np.bool_)
    if inputs.contigs:
        used = {bare_contig(name) for name in inputs.contigs}
        lies = [bare_contig(inputs.contig_aliases.get(name, name)) in used for name in found.contigs]
        # A gene without a line of its own has no contig here (-1), and is counted.
        wanted &= np.array([*lies, True], np.bool_)[found.genes.contig]
    exons = np.bincount(found.exons.transcript[found.exons.transcript >= 0], minlength=len(found.transcripts.ids))
    of_several = found.transcripts.gene[(exons > 1) & (found.transcripts.gene >= 0)]
    has_intron = np.zeros(len(wanted), np.bool_)
    has_intron[of_several] = True
    return int((wanted & (has_intron if spliced else True)).sum())


def _known(file: Path) -> tuple[list[int], int] | None:
    try:
        content = read_json(file)
        return list(content["stamp"]), int(content["genes"])
    except (InputError, KeyError, TypeError, ValueError):
        return None  # a cache that is not there, or cannot be read, only costs time
