"""Write a diagnosis for the terminal, as Markdown, HTML and JSON."""
