"""Training of adapters, offline, on a transformers model."""
