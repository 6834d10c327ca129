"""Every backbone with one head, and every head on one backbone, as a file of each precision."""
