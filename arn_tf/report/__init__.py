"""The page of an evaluation: one HTML file with everything in it, to look at and to show."""
