"""Small, realistic inputs with known truth, simulated from a seed: what was planted must be found again."""
