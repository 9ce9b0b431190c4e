"""What all groups of the command `lookaheadkv` have in common."""
