"""What pruning and distillation are worth: accuracy beside latency at parts of the MACs."""
