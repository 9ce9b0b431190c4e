"""Who may go on, and in which order: quotas that hold across routers, and a fair queue in each."""
