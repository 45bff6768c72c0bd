"""The report of a day or of a range of days, as one HTML file."""
