"""Make JSON for a JSON Schema, and refuse what OpenAI's strict mode refuses."""
