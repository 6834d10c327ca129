"""Heads that find boxes, and what stands around them: targets, data sets, scores, pictures."""
