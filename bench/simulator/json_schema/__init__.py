"""JSON for a JSON Schema, within what OpenAI's strict mode takes; the 400 for the rest."""
