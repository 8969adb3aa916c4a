"""What a comparison says, for people and programs: `compare.html`, `compare.md`, `compare.json`, and the terminal."""
