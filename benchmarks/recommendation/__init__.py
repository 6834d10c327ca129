"""What recommenders find, and what they cost."""
