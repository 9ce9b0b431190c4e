"""A line whose coefficients are zero or more, learned from a stream: late observations count most, wild ones little."""

from collections.abc import Sequence
from itertools import combinations

# an observation is worth 1% less with each one behind it: the last hundred or so count
FORGETTING = 0.99
# what is further off than so many mean errors is wild, and counts as if it were off by one; when so many in a row are
# wild on the same side, something has changed, and they count as if they were just not wild
WILD = 3.0
CHANGED_IN_A_ROW = 3
# the mean error is learned from at least so many observations
SPREAD_SAMPLES = 16
# below this share of the prediction no error is wild
LEAST_SPREAD_RATIO = 0.02
TINY = 1e-12

Row = list[float]


class Fit:
    """Least squares over weighted sums that stay small however many observations come.

    `prior` counts as one observation of each coefficient that is never forgotten, made at one of its `units`: without
    data the prediction is the prior's, and a coefficient of which the data say nothing stays there.
    """

    def __init__(self, prior: Sequence[float], units: Sequence[float]) -> None:
        self._units = tuple(units)
        self._size = range(len(prior))
        self._prior = [value * unit for value, unit in zip(prior, units, strict=True)]
        self._squares: list[Row] = [[0.0 for _ in self._size] for _ in self._size]
        self._products: Row = [0.0 for _ in self._size]
        self._scaled = list(self._prior)
        # until there are data, as large as the prediction itself
        self._spread = self.predict(units)
        self._wild_in_a_row = 0
        self.samples = 0

    @property
    def coefficients(self) -> tuple[float, ...]:
        """Of each feature; never negative."""
        return tuple(value / unit for value, unit in zip(self._scaled, self._units, strict=True))

    def predict(self, features: Sequence[float]) -> float:
        """The line's value, which is never negative for features that are not."""
        return sum(value * feature for value, feature in zip(self.coefficients, features, strict=True))

    def observe(self, features: Sequence[float], value: float) -> None:
        """Learn from one observation; features and value are finite and not negative. The same time for each."""
        predicted = self.predict(features)
        believed = predicted + self._clip(value - predicted, predicted)
        row = [feature / unit for feature, unit in zip(features, self._units, strict=True)]
        for i in self._size:
            self._products[i] = FORGETTING * self._products[i] + row[i] * believed
            for j in self._size:
                self._squares[i][j] = FORGETTING * self._squares[i][j] + row[i] * row[j]
        self.samples += 1
        self._scaled = self._solve()

    def _clip(self, error: float, predicted: float) -> float:
        """As much of the error as is believed. Learns the mean error on the way."""
        spread = max(self._spread, LEAST_SPREAD_RATIO * predicted, TINY)
        side = 1 if error > 0 else -1
        wild = abs(error) > WILD * spread
        self._wild_in_a_row = side * (max(0, side * self._wild_in_a_row) + 1) if wild else 0
        if wild:
            error = side * spread * (WILD if abs(self._wild_in_a_row) >= CHANGED_IN_A_ROW else 1.0)
        share = 1 / min(self.samples + 1, SPREAD_SAMPLES)
        self._spread = spread + share * (abs(error) - spread)
        return error

    def _solve(self) -> Row:
        """The best coefficients without a negative one: the best of those with some of them held at zero."""
        squares = [[self._squares[i][j] + (i == j) for j in self._size] for i in self._size]
        products = [self._products[i] + self._prior[i] for i in self._size]
        best, lowest = [0.0 for _ in self._size], 0.0
        for count in range(1, len(self._size) + 1):
            for free in combinations(self._size, count):
                found = _solve([[squares[i][j] for j in free] for i in free], [products[i] for i in free])
                # at a minimum the objective is minus half this sum
                height = -sum(value * products[i] for i, value in zip(free, found, strict=True))
                if min(found) >= 0 and height < lowest:
                    best, lowest = [0.0 for _ in self._size], height
                    for i, value in zip(free, found, strict=True):
                        best[i] = value
        return best


def _solve(squares: list[Row], products: Row) -> Row:
    """The solution of `squares` x = `products`, which is positive definite, so that no pivot is zero."""
    size = len(products)
    rows = [[*squares[i], products[i]] for i in range(size)]
    for i in range(size):
        for below in range(i + 1, size):
            factor = rows[below][i] / rows[i][i]
            rows[below] = [value - factor * above for value, above in zip(rows[below], rows[i], strict=True)]
    found = [0.0] * size
    for i in reversed(range(size)):
        rest = sum(rows[i][j] * found[j] for j in range(i + 1, size))
        found[i] = (rows[i][size] - rest) / rows[i][i]
    return found
