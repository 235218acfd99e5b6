"""`trainyard splice …`: what each command does, says and ends with."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_build import SmallBuild, built

from trainyard.splice import cli
from trainyard.splice.schema import TRANSCRIPTS
from trainyard.yard.errors import InputError, IntegrityError, LeakageError
from trainyard.yard.files import read_json


def trainyard(*arguments: str | Path) -> None:
    """Run a command as `trainyard splice` will."""
    parser = argparse.ArgumentParser(prog="trainyard splice")
    cli.add_commands(parser.add_subparsers(required=True))
    args = parser.parse_args([str(argument) for argument in arguments])
    args.call(args)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> SmallBuild:
    build = built(tmp_path_factory.mktemp("finished") / "splice")
    build.assembled()
    TRANSCRIPTS.write(build.base / "reference" / "transcripts.parquet", TRANSCRIPTS.table([]))
    return build


@pytest.fixture
def base(finished: SmallBuild, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished.base, tmp_path / "splice"))


def test_help_and_mistakes_answer_without_heavy_imports() -> None:
    code = (
        "import argparse, sys; from trainyard.splice import cli; p = argparse.ArgumentParser();"
        " cli.add_commands(p.add_subparsers()); assert 'pyarrow' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_genes_writes_a_list(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainyard("genes", base / "master", "--out", tmp_path / "genes.tsv", "--sample", "3")
    assert len((tmp_path / "genes.tsv").read_text().splitlines()) == 4
    assert "genes.tsv: 3 of 12 genes in 4 files" in capsys.readouterr().out


def test_check_prints_every_check(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainyard("check", base, "--json", tmp_path / "check.json")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 13
    assert lines[0].split() == ["1", "one", "schema", "passed"]
    assert "no check failed" in lines[-1]
    assert len(read_json(tmp_path / "check.json")["checks"]) == 12
    trainyard("check", base / "master", "--no-genome")
    assert "bases were not compared with the genome" in capsys.readouterr().out


def test_check_ends_with_what_failed(base: Path, tmp_path: Path) -> None:
    (tmp_path / "splits.csv").write_text("gene_id,locus_cluster,split\nG000,G000,train\nG004,G000,test\n")
    with pytest.raises(LeakageError, match="locus cluster G000 is in test and train"):
        trainyard("check", base, "--splits", tmp_path / "splits.csv")


def test_summary_goes_beside_the_dataset(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainyard("summary", base)
    assert read_json(base / "summary" / "summary.json")["genes"] == 12
    assert (base / "summary" / "summary.html").read_text().startswith("<!doctype html>")
    assert "930 rows of 12 genes (882 neither, 24 donor, 24 acceptor), complete" in capsys.readouterr().out
    trainyard("check", base)
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"\(--out\)"):
        trainyard("summary", tmp_path / "x.parquet")


def test_merge_says_what_came_out(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(IntegrityError, match="--first-wins"):
        trainyard("merge", base, base, "--out", tmp_path / "merged")
    trainyard("merge", base, base, "--out", tmp_path / "merged", "--first-wins")
    assert "merged: 930 rows of 12 genes in 6 parts, complete" in capsys.readouterr().out
    trainyard("check", tmp_path / "merged", "--reference", base / "reference")


def test_dedup_writes_or_only_counts(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainyard("dedup", base, "--audit", "--genomic")
    assert "repeated rows: 0 (0.00%) in the key view" in capsys.readouterr().out
    trainyard("dedup", base, "--out", tmp_path / "out", "--genomic")
    assert (tmp_path / "out" / "dedup_audit.parquet").is_file()
    twice = pa.table({"gene_id": ["a", "a"], "position": [1, 1], "chrom": ["1"] * 2, "strand": ["+"] * 2})
    pq.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(IntegrityError, match=r"repeated rows: 1 \(50.00%\) in the key view, of 2; write"):
        trainyard("dedup", tmp_path / "twice.parquet", "--audit")


def test_patch_tells_nulls_and_offsets(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "published").mkdir()
    rows = pa.table({"gene_id": ["G000", "zz"], "position": [201, 5], "splice_type": ["donor", None]})
    pq.write_table(rows, tmp_path / "published" / "batch_00001.parquet")
    chosen = ["patch", tmp_path / "published", "--reference", base / "reference", "--out", tmp_path / "out"]
    with pytest.raises(InputError, match="--allow-unknown"):
        trainyard(*chosen)
    trainyard(*chosen, "--allow-unknown")
    said = capsys.readouterr().out
    assert "gene_start: 1 rows without a value" in said
    assert "donors by distance to the nearest annotated one: +2: 1" in said
    assert "out: 2 rows in 1 files" in said


def test_doctor_is_a_dry_run_by_default(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainyard("doctor", base)
    assert "splice: nothing amiss" in capsys.readouterr().out
    part = base / "master" / "part-00001.parquet"
    part.write_bytes(b"torn")
    with pytest.raises(IntegrityError, match="1 corrupted; nothing was touched, --clean") as caught:
        trainyard("doctor", base)
    assert caught.value.exit_code == 3
    assert "corrupted    master/part-00001.parquet: has 4 bytes" in capsys.readouterr().out
    assert part.is_file()
    trainyard("doctor", base, "--clean", "--json", base.parent / "doctor.json")
    assert "2 files moved to" in capsys.readouterr().out
    assert not part.exists()
    assert read_json(base.parent / "doctor.json")["counts"] == {"corrupted": 1}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["genes", "x"],
        ["genes", "x", "--out", "y", "--head", "0"],
        ["genes", "x", "--out", "y", "--head", "1", "--sample", "1"],
        ["merge", "a", "b"],
        ["merge", "a", "b", "--out", "c", "--may-differ", "schema"],
        ["patch", "a", "--reference", "r"],
        ["patch", "a", "--reference", "r", "--out", "o", "--in-place"],
        ["dedup", "a"],
        ["doctor", "a", "--only", "no_receipt"],
    ],
)
def test_a_mistake_in_the_arguments_ends_with_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        trainyard(*arguments)
    assert caught.value.code == 2
