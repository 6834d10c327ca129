"""Side-by-side measurements, one table each."""
