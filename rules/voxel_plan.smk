"""What the rules of the voxel line are made from: its plan, and functions of inputs, parameters and resources."""

import json

from trainyard.voxel.catalogue import input_files, member_path, plan_summary
from trainyard.voxel.catalogue import placed as voxel_placed
from trainyard.voxel.catalogue import refuse_missing as voxel_refuse_missing
from trainyard.voxel.export import manifests
from trainyard.voxel.parts import part_name
from trainyard.voxel.settings import EVALUATION_KEYS, VoxelSettings
from trainyard.voxel.structures import find_structures
from trainyard.yard.contents import contents_digest
from trainyard.yard.labels import shard_labels

# Stages whose code shapes the dataset.
VOXEL_STAGES = [
    "voxel_voxelize",
    "voxel_plan",
    "voxel_encode_part",
    "voxel_merge_store",
    "voxel_export_part",
    "voxel_write_meta",
]

VOXEL_SCORES = ["predictions", "temperatures", "strata"]
VOXEL_NOT_TRAINED = {"enabled", *EVALUATION_KEYS}
# Residues of a domain of mdCATH, on average.
RESIDUES_PER_DOMAIN = 140


def voxel_settings():
    """The settings, with the inputs where earlier rules put them."""
    return voxel_placed(
        CONFIG.voxel,
        demo=Path(RESULTS, "demo", "voxel"),
        voxelized=Path(RESULTS, "voxel", "voxelized.hdf5"),
    )


def structures_digest(wildcards):
    """Stands for the contents of the structures, which count by content, not by time."""
    with errors_for_people():
        files = find_structures(CONFIG.voxel.inputs.structures)
        return contents_digest(files.values(), STATE / "cache")


def plan_digest(wildcards):
    """Stands for the contents of all that the plan is made from and nobody makes."""
    if VOXEL_PLAN:
        return VOXEL_PLAN.plan
    return contents_digest(input_files(CONFIG.voxel), STATE / "cache")


def voxel_summary():
    """Digests and sizes of the plan, where its inputs are there from the start; None where rules make them."""
    if CONFIG.voxel.inputs.source != "files":
        return None
    summary = plan_summary(
        VOXEL,
        cache=STATE / "cache",
        code=CODE["voxel_plan"],
        trust_cache=not workflow.is_main_process,
    )
    if workflow.is_main_process:
        print(f"voxel: {summary.sentence}", file=sys.stderr)
    return summary


def voxel_inputs(wildcards):
    """Files that the plan is made from; those that nobody makes count by content, not by time."""
    files = [str(path) for path in input_files(VOXEL)]
    if CONFIG.voxel.inputs.source == "demo":
        return files
    made = f"{RESULTS}/voxel/"
    return [path if path.startswith(made) else ancient(path) for path in files]


def voxel_file(wildcards):
    """The voxel file; where nobody makes it, it counts by content."""
    path = str(VOXEL.inputs.voxel_file)
    return ancient(path) if VOXEL_PLAN else path


def voxel_residues(wildcards):
    """The plan's residues, where no digest of the part stands for them."""
    return [] if VOXEL_PLAN else f"{RESULTS}/voxel/plan/residues.parquet"


def voxel_members(wildcards):
    """Table of the residues of a part: kept beside the run under their digest, or the plan's."""
    index = configured(VOXEL_INDEX, wildcards.part, "voxel.plan.num_parts")
    if VOXEL_PLAN:
        return str(member_path(STATE / "cache", VOXEL_PLAN.parts[index]))
    return f"{RESULTS}/voxel/plan/residues.parquet"


def voxel_size(wildcards, unit):
    """Bytes of the structures; or residues: of a store part, of a part of the batch files, or all."""
    if unit == "bytes":
        return VOXEL_STRUCTURE_BYTES
    if "split" in wildcards.keys():
        return VOXEL_RESIDUES / VOXEL.export.num_parts
    if VOXEL_PLAN and "part" in wildcards.keys():
        return VOXEL_PLAN.residues[
            configured(VOXEL_INDEX, wildcards.part, "voxel.plan.num_parts")
        ]
    return VOXEL_RESIDUES


def voxel_residues_expected():
    """Number of residues: of the plan, or, where rules make its inputs, about."""
    if VOXEL_PLAN:
        return sum(VOXEL_PLAN.residues)
    if CONFIG.voxel.inputs.source == "demo":
        return VOXEL.demo.domains * VOXEL.demo.residues
    return RESIDUES_PER_DOMAIN * len(find_structures(CONFIG.voxel.inputs.structures))


def voxel_batch_bytes(wildcards):
    """Bytes of the batch files of one part of a split; exact where the plan is known."""
    if not VOXEL_PLAN:
        return 0
    formats = VOXEL_PLAN.sizes.batches.values()
    return sum(splits[wildcards.split] for splits in formats) / VOXEL.export.num_parts


def voxel_ledgers(wildcards):
    """What became of the structures, where structures are voxelised."""
    places = {
        "structures": [f"{RESULTS}/voxel/voxelized.ledger.json"],
        "demo": [f"{RESULTS}/demo/voxel/voxels.ledger.json"],
    }
    return places.get(VOXEL.inputs.source, [])


def voxel_manifests(wildcards):
    """Manifests of the batch files, where the configuration asks for batch files."""
    return list(map(str, manifests(Path(RESULTS, "voxel", "export"), VOXEL.export)))


def voxel_dataset(wildcards):
    """The finished dataset of the voxel line: store, batch files, and the check that vouches for them."""
    folder = f"{RESULTS}/voxel"
    tables = ["residues.parquet", "samples.parquet", "temp_scaling_params.json"]
    targets = [
        f"{folder}/check/check.json",
        *(f"{folder}/store/{name}" for name in [*tables, "manifest.json"]),
        *(f"{folder}/store/grids/{name}" for name in VOXEL_PART_NAMES),
    ]
    if voxel_manifests(wildcards):
        targets += [
            f"{folder}/export/failed_preprocess_domains.txt",
            *voxel_manifests(wildcards),
        ]
    return targets


def voxel_targets(wildcards):
    """Everything of the voxel line: dataset, trained model, report."""
    folder = f"{RESULTS}/voxel"
    figures = ["density", "rmsf", "projections", "rejections"]
    targets = [
        *voxel_dataset(wildcards),
        *(f"{folder}/report/{name}.png" for name in figures),
    ]
    if VOXEL.train.enabled:
        targets += [
            f"{folder}/train/evaluation.json",
            f"{folder}/report/history.png",
            *(f"{folder}/report/{name}.png" for name in VOXEL_SCORES),
        ]
    return targets


LINES["voxel"] = voxel_targets
SIZES["voxel"] = voxel_size
WRITTEN["voxel_export_part"] = voxel_batch_bytes

with errors_for_people():
    VOXEL = voxel_settings()
    VOXEL_TRAINING = CONFIG.voxel.training
    VOXEL_PARTS = shard_labels(VOXEL.plan.num_parts)
    SHARDS["voxel"] = len(VOXEL_PARTS)
    VOXEL_INDEX = {part: index for index, part in enumerate(VOXEL_PARTS)}
    VOXEL_PART_NAMES = [
        part_name(index, VOXEL.plan.num_parts) for index in VOXEL_INDEX.values()
    ]
    VOXEL_PLAN = voxel_summary()
    VOXEL_RESIDUES = voxel_residues_expected()
    VOXEL_STRUCTURE_BYTES = sum(
        path.stat().st_size
        for path in map(Path, CONFIG.voxel.inputs.structures)
        if path.is_file()
    )
    if CONFIG.voxel.inputs.source == "structures" and workflow.is_main_process:
        voxel_refuse_missing(CONFIG.voxel)

# What the demo writes, where the plan looks for it.
voxel_demo_files = [
    str(path)
    for path in input_files(
        voxel_placed(
            VoxelSettings(), demo=Path(RESULTS, "demo", "voxel"), voxelized=Path()
        )
    )
]
