"""What `tuning.propose` is made of: facts, plans by kind of data, rivals, estimates."""
