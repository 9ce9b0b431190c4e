"""Training and evaluation prompts: built at run time from generated tasks and from texts that packages ship."""
