"""Names of the files of the voxel line's demo."""

STRUCTURES, VOXELS, RMSF = "structures", "voxels.hdf5", "aggregated_rmsf_all_temps.csv"
TRUTH, MANIFEST = "truth.json", "demo_manifest.json"


def list_name(split: str) -> str:
    """Return the file name of a split list."""
    return f"{split}_domains.txt"
