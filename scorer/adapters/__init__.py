"""Learned LookaheadKV weights and the model they are tied to."""
