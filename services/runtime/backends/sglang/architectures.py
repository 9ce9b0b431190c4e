"""Which models can be compacted; apart, so that who has no SGLang can ask."""

# models whose body takes (input_ids, positions, forward_batch) and attends to the whole context in every layer
ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
