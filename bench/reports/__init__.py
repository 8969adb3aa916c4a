"""Write a Summary or a Comparison as text; this room computes nothing."""
