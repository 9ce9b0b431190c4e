"""Redis or Valkey, as the adapters and the tenants' budgets are kept in it."""
