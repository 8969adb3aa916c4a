"""Carry a plan out in several processes, here or on a Dask cluster."""
