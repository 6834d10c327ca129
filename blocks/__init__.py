"""Blocks: layers and layers made of layers, free of any task."""

from blocks.base import Block

__all__ = ["Block"]
