"""Who may go on, and when."""
