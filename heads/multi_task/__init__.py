"""Several tasks that share experts, and weigh their losses themselves."""
