"""Workers of searches killed at random moments, and what that cost, counted by their own log."""
