"""The command `lookaheadkv`: one group of commands for each part."""
