"""How long a replica will take, learned from how long it took."""
