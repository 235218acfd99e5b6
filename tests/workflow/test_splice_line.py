"""The splice line, run for real: dry run, build, kills, growth, reruns, faults, and the same bytes however it runs."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from trainyard.demo.splice import ANNOTATION, FASTA, TRUTH, write_inputs
from trainyard.splice.master import open_master
from trainyard.splice.settings import SpliceDemoSettings
from trainyard.yard.errors import InputError

if TYPE_CHECKING:
    from conftest import Outcome, Workspace

GENOME = SpliceDemoSettings()
CONFIG: Mapping[str, Any] = {
    "run": "t",
    "lines": ["splice"],
    "splice": {
        "inputs": {"source": "files", "fasta": f"in/{FASTA}", "annotation": f"in/{ANNOTATION}"},
        "selection": {"n_genes": 12, "batch_size": 7},
        "sampling": {"window": 10},
        "features": {"kmer_sizes": [2], "radius": 50, "context_radii": [10]},
        "train": {"enabled": False},
    },
}
BATCHES = {"splice_score_batch": 2, "splice_positions_batch": 2, "splice_features_batch": 2}
FINISH = {"splice_assemble": 1, "splice_check": 1}
# All positions of a batch are gone once they are trimmed, so that trimming them anew makes them anew.
ROWS = {**FINISH, "splice_positions_batch": 2, "splice_features_batch": 2}
ALL = {
    "splice_reference": 1,
    "splice_pool": 1,
    "splice_rank": 1,
    "splice_offset_gate": 1,
    "splice_split": 1,
    **BATCHES,
    **FINISH,
}
SCORED = {"splice_offset_gate": 1, **BATCHES, **FINISH}
GATED = {"splice_offset_gate": 1, **FINISH}
COMMAND = ("--cores", "2", "splice_data")
BASE = "results/t/splice"


class Finished(NamedTuple):
    """A finished build: its folder, the dry run before it, and the run."""

    workspace: Workspace
    dry_run: Outcome
    run: Outcome


MakeGenes = Callable[..., "Workspace"]


@pytest.fixture(scope="module")
def make_genes(open_workspace: Callable[[Path, Mapping[str, Any], str], Workspace]) -> MakeGenes:
    """Makes a folder with a simulated genome and a configuration that builds from its files."""

    def make(folder: Path, changes: Mapping[str, Any] | None = None) -> Workspace:
        write_inputs(GENOME, folder / "in")
        return open_workspace(folder, CONFIG, "splice_data").configure({"splice": changes or {}})

    return make


@pytest.fixture(scope="module")
def finished_genes(make_genes: MakeGenes, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    workspace = make_genes(tmp_path_factory.mktemp("genes") / "work")
    # A job says how many threads it has, and a dry run must know the cores to say the same.
    return Finished(workspace, workspace.dry_run("--cores", "4"), workspace.build())


@pytest.fixture
def built_genes(finished_genes: Finished, tmp_path: Path) -> Workspace:
    """A copy of the finished build, to go on from."""
    return finished_genes.workspace.copy(tmp_path / "built")


def dataset(workspace: Workspace) -> dict[str, str]:
    """Digest of every file of the results; the index of the FASTA is a cache, named by the date of the FASTA."""
    return {path: digest for path, digest in workspace.sha256().items() if "/reference/genome-" not in path}


def test_the_dry_run_lists_every_job_with_its_command(finished_genes: Finished) -> None:
    assert finished_genes.dry_run.rules == ALL
    assert {job.command for job in finished_genes.run.finished} == {job.command for job in finished_genes.dry_run.jobs}


def test_what_was_planted_is_what_the_ledger_counts(finished_genes: Finished) -> None:
    folder = finished_genes.workspace.folder
    truth = json.loads((folder / "in" / TRUTH).read_text())["expected"]
    found = json.loads((folder / BASE / "check/ledger.json").read_text())
    for stage in ("reference", "plan"):
        assert found[stage]["kinds"] == truth[stage]
    manifest = json.loads((folder / BASE / "master/manifest.json").read_text())
    assert (manifest["status"], manifest["parts_planned"], manifest["genes"]) == ("complete", 2, {"kept": 12})


def test_scores_are_exported_in_every_format_that_is_asked_for(built_genes: Workspace) -> None:
    wanted = {"parquet": True, "bedgraph": True}
    built_genes.configure({"splice": {"export": wanted}})
    assert built_genes.dry_run().rules == {"splice_export_scores": 2}
    built_genes.build()
    tracks = [f"{kind}_{strand}.bedgraph" for kind in ("acceptor", "donor") for strand in ("minus", "plus")]
    digests = built_genes.sha256()
    for format, names in (("parquet", ["scores.parquet"]), ("bedgraph", tracks)):
        manifest = json.loads((built_genes.folder / BASE / "export" / f"{format}.json").read_text())
        assert manifest["genes"] == 12
        assert {entry["file"]: entry["sha256"] for entry in manifest["files"]} == {
            name: digests[f"{BASE}/export/{name}"] for name in names
        }
    built_genes.configure({"splice": {"export": {**wanted, "track_floor": 0.01}}})
    (job,) = built_genes.dry_run().jobs
    assert job.outputs == (f"{BASE}/export/bedgraph.json",)


def test_a_second_run_does_nothing_nor_does_one_after_touching_every_input(built_genes: Workspace) -> None:
    dates = built_genes.dates()
    assert built_genes.build().nothing_to_do
    for path in built_genes.files("in/**/*"):
        path.touch()
    assert built_genes.build().nothing_to_do
    assert built_genes.dates() == dates


@pytest.mark.parametrize("policy", ["random", "error_total"])
def test_no_command_is_longer_for_more_batches(make_genes: MakeGenes, tmp_path: Path, policy: str) -> None:
    workspace = make_genes(tmp_path / "work")
    lengths = []
    for size in (7, 1):
        changes = {"selection": {"policy": policy, "batch_size": size}, "train": {"enabled": True}}
        workspace.configure({"splice": {**changes, "export": {"parquet": True}}})
        lengths.append(workspace.dry_run(target="splice").longest_commands)
    few, many = lengths
    # Numbers of two digits instead of one.
    assert {rule: length for rule, length in many.items() if not 0 <= length - few[rule] <= 4} == {}


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    """A change of the code."""

    def change(code: Path) -> None:
        path = code / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


@pytest.mark.parametrize(
    ("change", "rerun"),
    [
        pytest.param(edit("src/trainyard/splice/toy.py", "_SPREAD = 0.03", "_SPREAD = 0.03  # why"), {}, id="comment"),
        pytest.param(edit("src/trainyard/splice/toy.py", "_SPREAD = 0.03", "_SPREAD = 0.04"), SCORED, id="model"),
        pytest.param(
            edit("src/trainyard/splice/offset.py", "WELL_SCORED = 0.5", "WELL_SCORED = 0.6"),
            GATED,
            id="gate",
        ),
    ],
)
def test_changed_code_reruns_what_runs_it(
    built_genes: Workspace,
    changed_code: Callable[[Callable[[Path], object]], Path],
    tmp_path: Path,
    change: Callable[[Path], None],
    rerun: dict[str, int],
) -> None:
    assert built_genes.copy(tmp_path / "again", code=changed_code(change)).dry_run().rules == rerun


@pytest.mark.parametrize(
    ("change", "rerun"),
    [
        pytest.param({"sampling": {"window": 11}}, ROWS, id="sampling"),
        pytest.param({"labels": {"threshold": 0.4}}, ROWS, id="labels"),
        pytest.param({"features": {"radius": 60}}, ROWS, id="features"),
        pytest.param({"split": {"salt": "split-2"}}, {"splice_split": 1, **FINISH}, id="split"),
        pytest.param({"inputs": {"min_offset_share": 0.9}}, GATED, id="gate"),
        # What the gate says anew hides no other change.
        pytest.param(
            {"inputs": {"min_offset_share": 0.9}, "labels": {"threshold": 0.4}}, {**GATED, **ROWS}, id="gate and labels"
        ),
        pytest.param({"model": {"flank_mode": "genomic"}}, SCORED, id="what the model sees"),
        pytest.param({"model": {"threads": 1}, "prune": {"corr_thr": 0.9}}, {}, id="what no data depend on"),
    ],
)
def test_a_changed_value_reruns_what_depends_on_it(
    built_genes: Workspace, change: dict[str, Any], rerun: dict[str, int]
) -> None:
    assert built_genes.configure({"splice": change}).dry_run().rules == rerun


def test_another_seed_plans_anew_and_scores_no_gene_twice(built_genes: Workspace) -> None:
    before = built_genes.dates(f"{BASE}/scores/genes/**/*")
    built_genes.configure({"splice": {"selection": {"seed": 3}}}).build("--until=splice_score_batch")
    now = built_genes.dates(f"{BASE}/scores/genes/**/*")
    assert {path: now[path] for path in before} == before
    assert 12 < len(now) <= 21
    assert "genes found" in built_genes.logs()


def test_more_genes_add_batches_and_leave_the_old_ones_untouched_and_fewer_take_them_away(
    built_genes: Workspace,
) -> None:
    dates, digests, whole = built_genes.dates(), built_genes.sha256(), dataset(built_genes)
    built_genes.configure({"splice": {"selection": {"n_genes": 17}}})
    # Batch 2 had five genes and gets seven; batch 3 is new.
    assert built_genes.dry_run().rules == {**BATCHES, "splice_split": 1, **FINISH}
    built_genes.build()
    old = [path for path in digests if "00001." in path or "00001_" in path or "/scores/genes/" in path]
    assert len(old) > 20
    now_dates, now = built_genes.dates(), built_genes.sha256()
    assert {path: (now_dates[path], now[path]) for path in old} == {path: (dates[path], digests[path]) for path in old}
    parts = [f"{BASE}/master/part-{batch:05d}.parquet" for batch in (1, 2, 3)]
    assert [path for path in now if path.endswith(".parquet") and "/master/" in path] == parts
    built_genes.configure().build()
    after = dataset(built_genes)
    assert {path: after[path] for path in whole} == whole
    assert parts[2] not in after


def test_more_genes_in_the_gene_file_make_their_batches_anew_and_leave_the_others_untouched(
    make_genes: MakeGenes, finished_genes: Finished, tmp_path: Path
) -> None:
    table = pq.read_table(finished_genes.workspace.folder / BASE / "plan/pool.parquet").sort_by("order")
    genes = table["gene_id"].to_pylist()
    workspace = make_genes(
        tmp_path / "work", {"selection": {"policy": "custom", "gene_file": "in/genes.txt", "n_genes": None}}
    )

    def name(genes: list[str]) -> None:
        (workspace.folder / "in/genes.txt").write_text("\n".join(["# mine", *genes, ""]))

    # The third entry is the first gene again, which shows only once the annotation is read: batch 1 has six genes.
    listed = [*genes[:2], f"{genes[0]}.1", *genes[2:11]]
    name(listed)
    workspace.build()
    dates, digests, whole = workspace.dates(), workspace.sha256(), dataset(workspace)
    name([*listed, *genes[11:16]])
    # Batch 2 had five genes and gets seven; batch 3 is new.
    dry_run = workspace.dry_run("--cores", "4")
    assert dry_run.rules == {**BATCHES, "splice_pool": 1, "splice_rank": 1, "splice_split": 1, **FINISH}
    of_batches = [path for job in dry_run.jobs if job.rule in BATCHES for path in job.outputs]
    assert not [path for path in of_batches if "00001." in path or "00001_" in path]
    run = workspace.build()
    assert {job.command for job in run.finished} == {job.command for job in dry_run.jobs}
    assert workspace.dry_run().nothing_to_do
    old = [path for path in digests if "00001." in path or "00001_" in path or "/scores/genes/" in path]
    assert len(old) > 20
    now_dates, now = workspace.dates(), workspace.sha256()
    assert {path: (now_dates[path], now[path]) for path in old} == {path: (dates[path], digests[path]) for path in old}
    found = open_master(workspace.folder / BASE).to_table(columns=["gene_id"])["gene_id"].unique().to_pylist()
    assert set(found) == set(genes[:16])
    # Comments and repetitions change no batch.
    name([*listed[:4], listed[1], "# and others", *listed[4:], *genes[11:16]])
    rest = {"splice_pool": 1, "splice_rank": 1, "splice_split": 1, **FINISH}
    assert workspace.dry_run().rules == rest
    name(listed)
    workspace.build()
    after = dataset(workspace)
    assert {path: after[path] for path in whole} == whole


def test_one_core_gives_the_bytes_of_four(make_genes: MakeGenes, finished_genes: Finished, tmp_path: Path) -> None:
    alone = make_genes(tmp_path / "alone")
    alone.build(cores=1)
    assert dataset(alone) == dataset(finished_genes.workspace)


def test_finished_parts_can_be_read_while_the_build_goes_on(
    make_genes: MakeGenes, finished_genes: Finished, tmp_path: Path
) -> None:
    workspace = make_genes(tmp_path / "work")
    run = workspace.start("--cores", "1", "splice_data")
    run.wait_until(lambda: workspace.files(f"{BASE}/master/part-*.receipt.json"))
    os.killpg(run.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(InputError, match="partial"):
            open_master(workspace.folder / BASE)
        rows = open_master(workspace.folder / BASE, allow_partial=True).count_rows()
    finally:
        os.killpg(run.process.pid, signal.SIGCONT)
    assert run.wait().code == 0
    assert 0 < rows < open_master(workspace.folder / BASE).count_rows()
    assert dataset(workspace) == dataset(finished_genes.workspace)


def _tabulating(workspace: Workspace) -> bool:
    return bool(workspace.files("logs/t/splice_reference.log"))


def _scoring(workspace: Workspace) -> bool:
    return bool(workspace.files(f"{BASE}/scores/genes/**/*.npy"))


def _building(workspace: Workspace) -> bool:
    return bool(workspace.files(f"{BASE}/batches/batch_*_raw.parquet"))


@pytest.mark.parametrize(
    ("number", "group"),
    [
        pytest.param(signal.SIGKILL, True, id="SIGKILL to all"),
        pytest.param(signal.SIGKILL, False, id="SIGKILL to Snakemake"),
        pytest.param(signal.SIGTERM, True, id="SIGTERM to all"),
    ],
)
def test_after_kills_the_same_command_ends_with_the_same_bytes(
    make_genes: MakeGenes, finished_genes: Finished, tmp_path: Path, number: signal.Signals, group: bool
) -> None:
    workspace = make_genes(tmp_path / "work")
    for moment in (_tabulating, _scoring, _building):
        run = workspace.start(*COMMAND)
        run.wait_until(lambda moment=moment: moment(workspace))
        assert run.end(number, group=group).code != 0
    last = workspace.snakemake(*COMMAND)
    assert last.code == 0, last.text
    for run in workspace.started:
        run.wait_for_orphans()
    assert dataset(workspace) == dataset(finished_genes.workspace)
    assert workspace.dry_run().nothing_to_do


# Faults


def refused(workspace: Workspace, code: int = 2) -> str:
    """The one message with which a run is refused before any job, with its exit code."""
    outcome = workspace.snakemake("-n", "splice_data")
    assert (outcome.code, outcome.jobs) == (code, []), outcome.text
    assert "Traceback" not in outcome.text
    _, message = outcome.text.split("error: ")
    return message


def failure(workspace: Workspace, rule: str, code: int = 2) -> str:
    """The one message with which a job fails; its printed command, pasted into a shell, ends with the exit code."""
    outcome = workspace.snakemake("--cores", "1", "splice_data")
    assert outcome.code != 0
    assert "Traceback" not in outcome.text
    (message,) = outcome.errors
    (job,) = [job for job in outcome.jobs if job not in outcome.finished]
    assert job.rule == rule
    own = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(workspace.code / "src"), str(workspace.code)]),
    }
    again = subprocess.run(job.command, shell=True, cwd=workspace.folder, env={**os.environ, **own}, check=False)
    assert again.returncode == code, workspace.logs()
    return message


def shift(path: Path, by: int) -> None:
    """Shift every place of an annotation."""
    lines = []
    for line in path.read_text().splitlines():
        columns = line.split("\t")
        if len(columns) == 9:
            columns[3:5] = [str(int(place) + by) for place in columns[3:5]]
        lines.append("\t".join(columns))
    path.write_text("\n".join([*lines, ""]))


@pytest.mark.parametrize("by", [1, -1])
def test_a_shifted_annotation_is_refused_by_its_motifs_with_the_offset(
    make_genes: MakeGenes, tmp_path: Path, by: int
) -> None:
    workspace = make_genes(tmp_path / "work")
    shift(workspace.folder / "in" / ANNOTATION, by)
    message = failure(workspace, "splice_reference")
    assert ANNOTATION in message
    assert f"{-by:+d}" in message


def test_a_shifted_annotation_whose_motifs_pass_is_refused_by_the_scores_with_the_offset(
    make_genes: MakeGenes, tmp_path: Path
) -> None:
    workspace = make_genes(tmp_path / "work", {"inputs": {"min_motif_share": 0.0}})
    shift(workspace.folder / "in" / ANNOTATION, 1)
    message = failure(workspace, "splice_offset_gate")
    assert "the base model does not peak on the annotated sites" in message
    assert "all coordinates are +1 off" in message


def test_other_contig_names_are_refused_with_the_alias_to_set(make_genes: MakeGenes, tmp_path: Path) -> None:
    workspace = make_genes(tmp_path / "work")
    path = workspace.folder / "in" / ANNOTATION
    accessions = {"1": "NC_000001.11", "2": "NC_000002.12", "3": "NC_000003.12", "4": "NC_000004.12"}
    lines = (line.split("\t", 1) for line in path.read_text().splitlines())
    path.write_text("".join("\t".join([accessions.get(head, head), *rest]) + "\n" for head, *rest in lines))
    message = failure(workspace, "splice_reference")
    assert "splice.inputs.contig_aliases: {" in message
    assert all(f"{accession}: '{name}'" in message for name, accession in accessions.items())
    aliased = {accession: name for name, accession in accessions.items()}
    workspace.configure({"splice": {"inputs": {"contig_aliases": aliased}}}).build()


@pytest.mark.parametrize(("name", "key"), [(FASTA, "fasta"), (ANNOTATION, "annotation")])
def test_a_cut_download_is_refused_by_name(make_genes: MakeGenes, tmp_path: Path, name: str, key: str) -> None:
    workspace = make_genes(tmp_path / "work")
    path = workspace.folder / "in" / name
    packed = gzip.compress(path.read_bytes(), mtime=0)
    path.with_name(f"{name}.gz").write_bytes(packed[: len(packed) // 2])
    workspace.configure({"splice": {"inputs": {key: f"in/{name}.gz"}}})
    message = failure(workspace, "splice_reference")
    assert f"in/{name}.gz" in message
    assert "incomplete" in message or "truncated" in message


@pytest.mark.parametrize(
    ("name", "words"),
    [(FASTA, "give the FASTA that belongs to the annotation"), (ANNOTATION, "ends in the middle of a line")],
)
def test_a_plain_file_that_ends_early_is_refused(make_genes: MakeGenes, tmp_path: Path, name: str, words: str) -> None:
    workspace = make_genes(tmp_path / "work")
    path = workspace.folder / "in" / name
    lines = path.read_bytes().splitlines(keepends=True)
    half = b"".join(lines[: len(lines) // 2])
    path.write_bytes(half + lines[len(lines) // 2][:20])
    message = failure(workspace, "splice_reference")
    assert f"in/{name}" in message
    assert words in message


@pytest.mark.parametrize("name", [FASTA, ANNOTATION])
def test_inputs_that_are_not_there_are_named_before_anything_runs(built_genes: Workspace, name: str) -> None:
    (built_genes.folder / "in" / name).unlink()
    assert f"in/{name}: no such file; see splice.inputs." in refused(built_genes)


WEIGHTS = {"backend": "openspliceai-pt", "weights": ["in/model.pt"], "accept_licence": True, "licence": "GPL-3.0"}


def test_missing_weights_are_named_before_anything_runs(built_genes: Workspace) -> None:
    built_genes.configure({"splice": {"model": WEIGHTS}})
    assert "in/model.pt: no such file; see splice.model.weights" in refused(built_genes)


def test_other_weights_than_stated_are_refused_with_both_checksums(built_genes: Workspace) -> None:
    (built_genes.folder / "in/model.pt").write_bytes(b"not the weights that were meant")
    built_genes.configure({"splice": {"model": {**WEIGHTS, "sha256": ["0" * 64]}}})
    message = failure(built_genes, "splice_score_batch", code=3)
    assert "in/model.pt: sha256 is" in message
    assert "model.sha256 says 000000" in message


def test_weights_of_which_the_licence_is_not_accepted_are_refused(built_genes: Workspace) -> None:
    built_genes.configure({"splice": {"model": {**WEIGHTS, "accept_licence": False}}})
    assert "splice: model.accept_licence: say true once you have read the licence of the weights" in refused(
        built_genes
    )


def test_a_gene_that_the_annotation_lacks_is_named(built_genes: Workspace) -> None:
    (built_genes.folder / "in/genes.txt").write_text("DEMOG00001\nDEMOG99999\nSIM3\n")
    built_genes.configure({"splice": {"selection": {"policy": "custom", "gene_file": "in/genes.txt"}}})
    message = failure(built_genes, "splice_pool")
    assert "in/genes.txt: 1 of 3 genes cannot be taken" in message
    assert "DEMOG99999 (not_in_annotation)" in message


def test_an_unknown_key_is_named_with_the_nearest_known_one(built_genes: Workspace) -> None:
    built_genes.configure({"splice": {"sampling": {"easy_ration": 0.3}}})
    assert "splice.sampling.easy_ration: unknown key, did you mean easy_ratio?" in refused(built_genes)
