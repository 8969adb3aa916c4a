"""Run a plan on the workers of a Dask cluster."""
