"""Building partitions again, on purpose: what a person asks for, what it will run, and how far it is."""
