"""`bench doctor`: is this endpoint really streaming, and if not, what holds it up?"""
