"""The reference as a whole: what is written, that it is the same every time, and what is refused."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys

import pytest
from small_annotations import Transcript, bgzip, fasta, genome_for, gff3, gtf, many_transcripts

from trainyard.splice.reasons import Reason
from trainyard.splice.reference import CONTRACTS, Reference, build_reference
from trainyard.splice.settings import SpliceInputSettings
from trainyard.yard.errors import ConfigError, InputError, IntegrityError
from trainyard.yard.files import read_json, sha256_file
from trainyard.yard.ledger import Ledger

TRANSCRIPTS = [
    *many_transcripts(20),
    *many_transcripts(20, contig="2"),
]
TRANSCRIPTS = [
    Transcript(f"T{i}", f"G{i:02d}", tx.exons, tx.strand, tx.contig, {"gene_biotype": "protein_coding"})
    for i, tx in enumerate(TRANSCRIPTS)
]
OUTPUTS = [*(f"{name}.parquet" for name in CONTRACTS), "reference.json", "motif.json", "ledger.json"]


@pytest.fixture
def inputs(tmp_path):
    """Paths of a FASTA and of an annotation that fit each other."""
    (tmp_path / "g.fa").write_text(fasta(genome_for(TRANSCRIPTS, length=11_000)))
    (tmp_path / "a.gtf").write_text(gtf(*TRANSCRIPTS))
    return tmp_path / "g.fa", tmp_path / "a.gtf"


def made(inputs, out, **values):
    fasta_path, annotation = inputs
    return build_reference(SpliceInputSettings(source="files", fasta=fasta_path, annotation=annotation, **values), out)


def moved(text, offset):
    """An annotation whose coordinates are all off."""
    rows = [row.split("\t") for row in text.splitlines()]
    return "".join("\t".join([*r[:3], str(int(r[3]) + offset), str(int(r[4]) + offset), *r[5:]]) + "\n" for r in rows)


def test_everything_is_written_and_described(inputs, tmp_path):
    described = made(inputs, tmp_path / "out", build="GRCh38", release="test 1")
    assert read_json(tmp_path / "out" / "reference.json") == described
    assert described["fasta"] == {
        "path": str(inputs[0]),
        "sha256": sha256_file(inputs[0]),
        "bytes": inputs[0].stat().st_size,
    }
    assert described["annotation"]["sha256"] == sha256_file(inputs[1])
    assert (described["build"], described["release"], described["dialect"]) == ("GRCh38", "test 1", "ensembl-gtf")
    assert described["contigs"]["genome"] == {"1": 11_000, "2": 11_000}
    assert described["contigs"]["naming"] == "plain"
    counts = described["counts"]
    assert (counts["genes"], counts["donors"], counts["acceptors"], counts["unique_introns"]) == (40, 120, 120, 120)
    assert counts["gene_types"] == {"protein_coding": 40}
    assert described["gt_ag_share"] == 1.0
    for name, contract in CONTRACTS.items():
        assert contract.read(tmp_path / "out" / f"{name}.parquet").num_rows == counts[name]
    ledger = Ledger.from_dict(read_json(tmp_path / "out" / "ledger.json"), Reason)
    ledger.check()
    assert ledger.kept("intron") == 120


def test_the_same_inputs_give_the_same_bytes(inputs, tmp_path):
    for out in ("one", "two"):
        made(inputs, tmp_path / out)
        os.utime(inputs[0])
    for name in OUTPUTS:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


@pytest.mark.parametrize("pack", [gzip.compress, bgzip])
def test_packing_changes_the_checksum_and_nothing_else(inputs, tmp_path, pack):
    made(inputs, tmp_path / "plain")
    packed = tmp_path / "packed.fa.gz", tmp_path / "packed.gtf.gz"
    for path, other in zip(inputs, packed, strict=True):
        other.write_bytes(pack(path.read_bytes()))
    made(packed, tmp_path / "packed")
    for name in CONTRACTS:
        file = f"{name}.parquet"
        assert (tmp_path / "plain" / file).read_bytes() == (tmp_path / "packed" / file).read_bytes()
    assert Reference(tmp_path / "packed").genome.fetch("1", 1, 99).tolist() == (
        Reference(tmp_path / "plain").genome.fetch("1", 1, 99).tolist()
    )


def test_the_identity_follows_what_matters(inputs, tmp_path):
    ids = [
        made(inputs, tmp_path / str(i), **values)["reference_id"]
        for i, values in enumerate([{}, {"build": "x"}, {"release": "x"}, {"min_intron": 5}, {"contigs": ["1"]}])
    ]
    assert len(set(ids)) == 5
    assert made(inputs, tmp_path / "limits", min_motif_share=0.5)["reference_id"] == ids[0]
    inputs[1].write_text(gff3(*TRANSCRIPTS))
    assert made(inputs, tmp_path / "other")["reference_id"] not in ids


@pytest.mark.parametrize("offset", [-1, 1])
def test_a_shifted_annotation_is_refused_with_its_offset(inputs, tmp_path, offset):
    inputs[1].write_text(moved(inputs[1].read_text(), offset))
    with pytest.raises(InputError, match=rf"a\.gtf with .*g\.fa: .* offset \{offset:+d} .*Likely cause"):
        made(inputs, tmp_path / "out")
    assert not (tmp_path / "out" / "reference.json").exists()
    assert not (tmp_path / "out" / "genes.parquet").exists()
    assert read_json(tmp_path / "out" / "motif_refused.json")["best_shift_by_strand"]["+"]["exon_starts"] == -offset


def test_another_naming_of_contigs_is_seen_through_or_refused_with_a_suggestion(inputs, tmp_path):
    text = inputs[1].read_text()
    inputs[1].write_text("".join("chr" + row for row in text.splitlines(keepends=True)))
    described = made(inputs, tmp_path / "chr")
    assert described["contigs"]["renamed"] == {"chr1": "1", "chr2": "2"}
    assert set(Reference(tmp_path / "chr").genes["chrom"].to_pylist()) == {"1", "2"}
    accessions = text.replace("2\ttest", "NC_000002.12\ttest").replace("\n1\t", "\nNC_000001.11\t")
    inputs[1].write_text("NC_000001.11" + accessions[1:])
    with pytest.raises(InputError) as caught:
        made(inputs, tmp_path / "nc")
    suggestion = "set splice.inputs.contig_aliases: {NC_000001.11: '1', NC_000002.12: '2'}"
    assert suggestion in str(caught.value)
    made(inputs, tmp_path / "nc", contig_aliases={"NC_000001.11": "1", "NC_000002.12": "2"})
    assert Reference(tmp_path / "nc").genes.equals(Reference(tmp_path / "chr").genes)


def test_some_contigs_can_be_chosen(inputs, tmp_path):
    described = made(inputs, tmp_path / "out", contigs=["2"])
    assert described["contigs"]["with_genes"] == ["2"]
    assert described["counts"]["genes"] == 20
    with pytest.raises(ConfigError, match="did you mean 2"):
        made(inputs, tmp_path / "none", contigs=["chr2"])


def test_without_inputs_the_message_says_what_to_set(tmp_path):
    with pytest.raises(ConfigError, match=r"splice\.inputs\.fasta"):
        build_reference(SpliceInputSettings(), tmp_path)


def test_readers_find_genes_sites_and_bases(inputs, tmp_path):
    made(inputs, tmp_path / "out")
    reference = Reference(tmp_path / "out")
    gene = reference.gene("G01")
    assert (gene["strand"], gene["length"], gene["n_donors"]) == ("-", 370, 3)
    sites = reference.sites_of("G01")
    assert sites["t"].to_pylist() == sorted(sites["t"].to_pylist())
    bases = reference.genome.gene(gene["chrom"], gene["start"], gene["end"], gene["strand"])
    for site in sites.to_pylist():
        t = site["t"]
        pair = bases[t + 1 : t + 3] if site["site_type"] == "donor" else bases[t - 2 : t]
        assert pair.tolist() == ([2, 3] if site["site_type"] == "donor" else [0, 2])
    assert reference.sites_of("nobody").num_rows == 0
    assert (
        sum(reference.sites_of(g).num_rows for g in reference.genes["gene_id"].to_pylist()) == reference.sites.num_rows
    )
    assert reference.transcripts.num_rows == 40
    assert reference.exons.num_rows == 160
    assert reference.overlaps.num_rows == 0
    with pytest.raises(InputError, match="no gene nobody"):
        reference.gene("nobody")


def test_another_genome_in_the_place_of_the_first_is_noticed(inputs, tmp_path):
    made(inputs, tmp_path / "out")
    inputs[0].write_text(">1\nACGT\n")
    with pytest.raises(IntegrityError, match="not those that"):
        _ = Reference(tmp_path / "out").genome


def test_a_folder_without_reference_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"reference\.json: no such file"):
        Reference(tmp_path)


def test_the_command_prints_one_line_and_errors_for_people(inputs, tmp_path):
    command = [sys.executable, "-m", "workflow_scripts.splice_reference", "--out", str(tmp_path / "out")]
    settings = json.dumps({"source": "files", "fasta": str(inputs[0]), "annotation": str(inputs[1])})
    done = subprocess.run([*command, "--settings", settings], capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"{tmp_path / 'out'}: ensembl-gtf, 40 genes, 120 donors, 120 acceptors, 100.0 % of 120 introns GT-AG\n"
    )
    inputs[1].write_text("nothing\n")
    done = subprocess.run(
        [*command, "--settings", "{}", "--fasta", str(inputs[0]), "--annotation", str(inputs[1])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: {inputs[1]}: no exon")
