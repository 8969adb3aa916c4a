"""Find trials far from the others of their cell, and what was recorded while they ran."""
