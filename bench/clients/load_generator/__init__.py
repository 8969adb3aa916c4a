"""Send requests from a process of their own, which stays accurate under load."""
