"""Text that comes from users and servers, and what is printed."""
