"""What the doctor found, for people and programs: on the terminal, in Markdown, as a page, and as JSON."""
