"""The glossary as plain values, the hooks, the plugin loader, and the errors; imports no other room."""
