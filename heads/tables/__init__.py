"""Rows of tables, and ids of words: what a network is given of them."""
