"""Carry a plan out on the workers of a Dask cluster."""
