"""Families that adapters are trained on."""
