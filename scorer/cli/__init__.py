"""`lookaheadkv adapters`: what an operator does with adapters, by the same library as the registry's RPCs."""
