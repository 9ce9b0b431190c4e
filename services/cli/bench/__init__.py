"""Load against a router, the same prompts for each way of keeping their KV."""
