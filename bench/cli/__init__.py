"""The commands: options in, one call, an exit code out."""
