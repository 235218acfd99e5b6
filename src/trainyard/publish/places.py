"""Where the files that are made from the code stand, from the root of the repository."""

SCHEMA, REFERENCE = "config/config.schema.json", "config/README.md"
COLUMNS = {line: f"docs/{line}-columns.md" for line in ("transit", "voxel")}
