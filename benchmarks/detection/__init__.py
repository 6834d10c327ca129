"""What detectors reach on blood cells, and what they cost."""
