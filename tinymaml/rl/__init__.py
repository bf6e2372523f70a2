"""Policies whose loss is a cost to go, exact and sampled (eqs. 23-25)."""
