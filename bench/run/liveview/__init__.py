"""The live view of a run: the measuring process tells (`feed`, `told`), a process of its own counts and draws the rest.

That process (`python -m bench.run.liveview FD`) runs at low priority and uses a twentieth of a CPU at most. What the
measuring process does for it is one short write between two trials, at most twenty a second.
"""
