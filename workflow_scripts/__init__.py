"""Commands that the rules run: each parses its arguments and makes one call into the package."""
