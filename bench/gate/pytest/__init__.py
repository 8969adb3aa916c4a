"""The pytest fixture `stream_bench`."""
