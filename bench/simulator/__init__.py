"""The embedded OpenAI-compatible server (target `sim`): `serve` in `server.py`, `running` in `process.py`.

A request goes through: `requests` (is it valid?) → `control` (how shall it be answered?) → `answers` (with what?)
→ `pacing` (when?) → `responses` (which frames?) → `delivery` (onto the socket) → `truth` (what was really sent when).
"""
