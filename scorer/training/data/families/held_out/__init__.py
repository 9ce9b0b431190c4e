"""Families that no adapter is ever trained on."""
