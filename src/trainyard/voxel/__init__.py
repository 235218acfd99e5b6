"""The voxel line: protein voxels and RMSF to a store that yields pre-batched tensors."""
