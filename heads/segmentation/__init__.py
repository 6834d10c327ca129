"""Segmentation: a class for every position of an image or a volume."""
