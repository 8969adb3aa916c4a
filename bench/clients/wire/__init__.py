"""The client `wire`: stamp now, decode later. A small process sends, reads and stamps; this one decodes."""
