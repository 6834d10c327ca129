"""What segmenters reach on streets and on membranes, and what they cost."""
