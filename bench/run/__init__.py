"""Carry a plan out: connect, send, judge, store; this room imports no pandas."""
