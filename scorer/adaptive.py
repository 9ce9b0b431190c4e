"""The budgets that an adaptive one is chosen from, and the smallest that is enough."""

from collections.abc import Sequence

# each budget is so many times the one before, or more where GRID_POINTS of them would not reach the largest
GRID_STEP = 1.2
GRID_POINTS = 24


def budget_grid(least_tokens: int, most_tokens: int, page_tokens: int = 1) -> tuple[int, ...]:
    """Budgets in whole pages, ascending, geometric from `least_tokens`; the last one is `most_tokens` in whole pages.

    At most GRID_POINTS. Up to 66 times the least the largest has no influence on those below it. Raises ValueError
    unless 1 <= least_tokens <= most_tokens.
    """
    if not 1 <= least_tokens <= most_tokens:
        raise ValueError(f"least_tokens: {least_tokens} must be at least 1 and at most most_tokens = {most_tokens}")
    step = max(GRID_STEP, (most_tokens / least_tokens) ** (1 / (GRID_POINTS - 1)))
    budgets = (int(least_tokens * step**point) for point in range(GRID_POINTS - 1))
    below = {whole_pages(budget, page_tokens) for budget in budgets if budget < most_tokens}
    most = whole_pages(most_tokens, page_tokens)
    return (*sorted(budget for budget in below if budget < most), most)


def whole_pages(tokens: int, page_tokens: int) -> int:
    """`tokens`, rounded up to whole pages."""
    return -(-tokens // page_tokens) * page_tokens


def first_that_holds(masses: Sequence[float], min_retained_mass: float) -> int | None:
    """Index of the first retained mass that reaches `min_retained_mass`; None when none does."""
    return next((index for index, mass in enumerate(masses) if mass >= min_retained_mass), None)
