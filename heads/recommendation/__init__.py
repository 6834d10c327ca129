"""What people may like: retrieval, ranking, what comes next."""
