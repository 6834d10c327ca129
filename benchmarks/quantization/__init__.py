"""What 8 bits cost trained networks: after training, and learned in training; beside others."""
