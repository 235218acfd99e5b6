"""Jobs that are cancelled, too slow, too large or refuse their data, and runs that are killed, on a real SLURM."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from slurm_workflow_tests import Outcome, Running, Workspace, poll

from trainyard.demo.voxel import write_inputs
from trainyard.demo.voxel_files import RMSF, VOXELS, list_name
from trainyard.voxel.settings import VoxelDemoSettings

CONFIG: Mapping[str, Any] = {
    "run": "t",
    "lines": ["voxel"],
    "voxel": {
        "inputs": {
            "source": "files",
            "voxel_file": f"in/{VOXELS}",
            "aggregated_rmsf_file": [f"in/{RMSF}"],
            **{f"{split}_split_file": f"in/{list_name(split)}" for split in ("train", "val", "test")},
        },
        "plan": {"num_parts": 3, "batch_size": 64},
        "train": {"enabled": False},
    },
}
PARTS = ("0001-0003", "0002-0003", "0003-0003")
GRIDS = [f"results/t/voxel/store/grids/part_{part}.safetensors" for part in PARTS]
OUTPUTS = "results/t/voxel/store/grids/part_*"

FAULTS = """
import time
from pathlib import Path

from trainyard.yard.errors import IntegrityError


def fail(part, fault):
    first = Path(f"first-{part}")
    is_first = not first.exists()
    first.touch()
    if fault == "slow at first" and is_first:
        time.sleep(600)
    if fault == "large":
        held = bytearray(500_000_000)
        held[::4096] = bytes(len(held[::4096]))
        time.sleep(10)
    if fault == "far too large":
        held = bytearray(3_000_000_000)
        held[::4096] = bytes(len(held[::4096]))
        time.sleep(60)
    if fault == "bad data":
        raise IntegrityError(f"part {part}: not what was promised")
"""


@pytest.fixture(scope="module")
def make_parts(open_workspace: Callable[..., Workspace]) -> Callable[[Path], Workspace]:
    """Makes a folder with simulated proteins, of which three jobs that do not wait for one another encode the parts."""

    def make(folder: Path) -> Workspace:
        write_inputs(VoxelDemoSettings(domains=12, residues=25), folder / "in")
        return open_workspace(folder, CONFIG, GRIDS[0])

    return make


@pytest.fixture(scope="module")
def expected(make_parts: Callable[[Path], Workspace], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of the parts as one machine builds them."""
    workspace = make_parts(tmp_path_factory.mktemp("local") / "work")
    outcome = workspace.snakemake("--cores", "2", *GRIDS)
    assert outcome.code == 0, outcome.text
    return digests(workspace)


def digests(workspace: Workspace) -> dict[str, str]:
    # Receipts name the code that wrote them.
    return {path: digest for path, digest in workspace.sha256(OUTPUTS).items() if "receipt" not in path}


def with_faults(code: Path, faults: Mapping[str, str], *, minutes: int = 2) -> None:
    """Change a copy of the code: parts fail as told, and ask for so little that they fail soon."""
    script = code / "workflow_scripts" / "voxel_encode_part.py"
    text = script.read_text()
    call = f"fail(args.part, {dict(faults)!r}.get(args.part))\n"
    changed = re.sub(r"^(    args = .*\n)", rf"\1    {call}", text, count=1, flags=re.MULTILINE)
    assert changed != text
    future = "from __future__ import annotations\n"
    script.write_text(changed.replace(future, future + FAULTS, 1))
    table = code / "src" / "trainyard" / "yard" / "resources.py"
    text = table.read_text()
    changed = re.sub(r'"voxel_encode_part": Need\(.*\),', f'"voxel_encode_part": Need(100, {minutes}),', text)
    assert changed != text
    table.write_text(changed)


def ids_of(text: str, part: str) -> list[str]:
    """Ids that SLURM has given the jobs of a part, in order."""
    return re.findall(rf"submitted with SLURM jobid (\d+) \(log: \S+/{part}/\d+\.log\)", text)


def wait_for_job(run: Running, part: str) -> str:
    """Id of the first job of a part, once it is submitted."""
    run.wait_until(lambda: ids_of(run.log.read_text(), part))
    return ids_of(run.log.read_text(), part)[0]


def test_jobs_that_are_cancelled_too_slow_or_too_large_are_tried_again_with_more(
    slurm: Any,
    on_slurm: tuple[str, ...],
    make_parts: Callable[[Path], Workspace],
    changed_code: Callable[[Callable[[Path], object]], Path],
    expected: dict[str, str],
    tmp_path: Path,
) -> None:
    workspace = make_parts(tmp_path / "work")
    cancelled, slow, large = PARTS
    faults = {cancelled: "slow at first", slow: "slow at first", large: "large"}
    # The shortest time that SLURM knows; it ends what is over it within half a minute more.
    workspace.code = changed_code(lambda folder: with_faults(folder, faults, minutes=1))
    run = workspace.start(*on_slurm, *GRIDS)
    first = wait_for_job(run, cancelled)
    run.wait_until((workspace.folder / f"first-{cancelled}").exists)
    slurm.run("scancel", first)
    outcome = run.wait()
    assert outcome.code == 0, outcome.text
    facts = slurm.facts()
    states = {part: [facts[number].state for number in ids_of(outcome.text, part)] for part in PARTS}
    assert states == {
        cancelled: ["CANCELLED", "COMPLETED"],
        slow: ["TIMEOUT", "COMPLETED"],
        large: [states[large][0], "COMPLETED"],
    }
    assert states[large][0] in ("FAILED", "OUT_OF_MEMORY", "CANCELLED")
    for part in PARTS:
        jobs = [facts[number] for number in ids_of(outcome.text, part)]
        assert [job.memory for job in jobs] == ["600M", "1200M"]
        assert [job.limit for job in jobs] == ["1:00", "2:00"]
    assert digests(workspace) == expected


def test_what_cannot_heal_is_tried_once_and_told_with_rule_job_and_log(
    slurm: Any,
    on_slurm: tuple[str, ...],
    make_parts: Callable[[Path], Workspace],
    changed_code: Callable[[Callable[[Path], object]], Path],
    expected: dict[str, str],
    tmp_path: Path,
) -> None:
    workspace = make_parts(tmp_path / "work")
    large, bad, good = PARTS
    workspace.code = changed_code(lambda folder: with_faults(folder, {large: "far too large", bad: "bad data"}))
    outcome = workspace.snakemake(*on_slurm, "--retries", "1", *GRIDS)
    assert outcome.code == 1
    assert {part: len(ids_of(outcome.text, part)) for part in PARTS} == {large: 2, bad: 1, good: 1}
    lines = outcome.text.splitlines()
    told = [line for line in lines if line.startswith("failed: ")]
    assert len(told) == 2
    for part in (large, bad):
        number = ids_of(outcome.text, part)[-1]
        (line,) = (line for line in told if f"part={part}" in line)
        assert "rule voxel_encode_part" in line
        assert f"SLURM job {number} " in line
        assert f"logs/t/voxel_encode_part/{part}.log" in line
    assert f"error: part {bad}: not what was promised" in outcome.text
    assert lines.index(told[0]) > max(i for i, line in enumerate(lines) if line.startswith("Error in rule"))
    done = digests(workspace)
    assert GRIDS[2] in done and done.items() <= expected.items()


def test_after_a_kill_the_same_command_cancels_what_is_left_and_finishes(
    slurm: Any,
    on_slurm: tuple[str, ...],
    make_parts: Callable[[Path], Workspace],
    changed_code: Callable[[Callable[[Path], object]], Path],
    expected: dict[str, str],
    tmp_path: Path,
) -> None:
    workspace = make_parts(tmp_path / "work")
    workspace.code = changed_code(lambda folder: with_faults(folder, {PARTS[1]: "slow at first"}))
    run = workspace.start(*on_slurm, *GRIDS)
    left = wait_for_job(run, PARTS[1])
    run.wait_until((workspace.folder / f"first-{PARTS[1]}").exists)
    assert run.end(signal.SIGKILL, group=True).code == -signal.SIGKILL
    assert slurm.facts()[left].state == "RUNNING"
    again = workspace.snakemake(*on_slurm, *GRIDS)
    assert again.code == 0, again.text
    assert re.search(rf"^cancelled what a killed run left: .*\b{left}\b", again.text, re.MULTILINE)
    poll(lambda: slurm.facts()[left].state == "CANCELLED")
    assert digests(workspace) == expected
    assert workspace.snakemake("-n", *on_slurm, *GRIDS).nothing_to_do


def test_a_partition_that_does_not_exist_is_refused_before_any_job(
    slurm: Any, on_slurm: tuple[str, ...], make_parts: Callable[[Path], Workspace], tmp_path: Path
) -> None:
    workspace = make_parts(tmp_path / "work")
    before = slurm.jobs()
    outcome = workspace.snakemake(*GRIDS, *on_slurm, "--default-resources", "slurm_partition=nowhere")
    assert outcome.code == 5, outcome.text
    assert outcome.errors == [
        "error: rule voxel_encode_part: the cluster has no partition 'nowhere', it has cpu, gpu: change slurm_partition"
        " in profiles/slurm/profile.yaml, or on the command line (--default-resources slurm_partition=cpu)"
    ]
    assert "Traceback" not in outcome.text
    assert slurm.jobs() == before


def test_a_job_that_no_node_can_take_is_refused_before_any_job(
    slurm: Any, on_slurm: tuple[str, ...], make_parts: Callable[[Path], Workspace], tmp_path: Path
) -> None:
    workspace = make_parts(tmp_path / "work")
    before = slurm.jobs()
    outcome = workspace.snakemake(*GRIDS, *on_slurm, "--set-resources", "voxel_encode_part:mem_mb=999000")
    assert outcome.code == 5, outcome.text
    assert "no node of partition cpu can take a job of 999,000 MB" in outcome.errors[0]
    assert slurm.jobs() == before


@pytest.mark.parametrize("missing", ["programs", "controller"])
def test_without_slurm_a_run_ends_with_a_message_and_a_dry_run_works(
    on_slurm: tuple[str, ...],
    make_parts: Callable[[Path], Workspace],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
) -> None:
    pytest.importorskip("snakemake_executor_plugin_slurm")
    workspace = make_parts(tmp_path / "work")
    if missing == "programs":
        programs = tmp_path / "bin"
        programs.mkdir()
        for program in (path for folder in ("/bin", "/usr/bin") for path in Path(folder).iterdir()):
            if program.name not in ("sbatch", "sinfo", "squeue", "sacct", "scontrol", "scancel", "srun"):
                (programs / program.name).unlink(missing_ok=True)
                (programs / program.name).symlink_to(program)
        monkeypatch.setenv("PATH", str(programs))
        said = "error: no SLURM on this machine"
    else:
        if shutil.which("sinfo") is None:
            pytest.skip("SLURM is not installed: apt-get install slurm-wlm munge")
        settings = ["ClusterName=gone", "SlurmctldHost=localhost(127.0.0.1)", "SlurmctldPort=9", "MessageTimeout=2"]
        settings += ["AuthType=auth/none", "CredType=cred/none"]
        (tmp_path / "slurm.conf").write_text("\n".join(settings) + "\n")
        monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
        said = "error: SLURM does not answer (`sinfo`: "
    assert workspace.snakemake("-n", *on_slurm, *GRIDS).rules["voxel_encode_part"] == 3
    outcome: Outcome = workspace.snakemake(*on_slurm, *GRIDS)
    assert outcome.code == 5, outcome.text
    assert len(outcome.errors) == 1 and outcome.errors[0].startswith(said)
    assert "Traceback" not in outcome.text


def test_a_gpu_is_asked_for_only_when_it_is_configured(make_parts: Callable[[Path], Workspace], tmp_path: Path) -> None:
    workspace = make_parts(tmp_path / "work")
    for device, asked in (("cpu", "gpu=0"), ("auto", "gpu=0"), ("cuda", "gpu=1")):
        workspace.configure({"voxel": {"train": {"enabled": True, "device": device}}})
        blocks = workspace.snakemake("-n", "voxel").text.split("\n\n")
        by_rule = {rule: [b for b in blocks if f"rule {rule}:" in b] for rule in ("voxel_train", "voxel_encode_part")}
        assert all(re.search(rf"resources: .*\b{asked}\b", block) for block in by_rule["voxel_train"])
        assert by_rule["voxel_train"] and not any("gpu=" in block for block in by_rule["voxel_encode_part"])
