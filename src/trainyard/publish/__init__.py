"""What is asked of a finished dataset, and the pages that are generated from the code."""
