"""Write a Summary or a Comparison as text. Charts choose what they are drawn from; nothing else is computed here."""
