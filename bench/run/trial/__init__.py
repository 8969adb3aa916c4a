"""Run one trial: ask, call, time, judge, store."""
