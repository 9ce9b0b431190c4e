"""`lookaheadkv tenants`: what an operator does with budgets, through the API of a router."""
