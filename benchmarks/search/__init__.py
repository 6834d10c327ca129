"""Searches replayed on tables of trained networks; see `__main__`."""
