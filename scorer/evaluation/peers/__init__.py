"""NVIDIA's kvpress on our prompts, model and metrics, in an environment of its own (`make eval-peers`)."""
