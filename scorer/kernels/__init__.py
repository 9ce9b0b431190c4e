"""Tensor operations of scoring and eviction; each file holds the reference and, where there is one, its kernel."""
