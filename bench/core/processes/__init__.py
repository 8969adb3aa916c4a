"""Start processes of this program, and exchange messages with them."""
