"""Tenants' budget policies: what they may say, which of them hold, where they lie, and how they change."""
