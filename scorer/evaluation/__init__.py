"""What eviction changes: quality and cost of each method, on the same prompts and the same model."""
