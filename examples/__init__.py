"""Complete stories on real data."""
