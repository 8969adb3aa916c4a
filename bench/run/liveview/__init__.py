"""Show a run live: the measuring process sends messages (`feed`), a process of its own counts and draws.

That process (`python -m bench.run.liveview FD`) has low priority and uses at most a twentieth of a CPU. The measuring
process only does one short write between two trials, at most 20 per second.
"""
