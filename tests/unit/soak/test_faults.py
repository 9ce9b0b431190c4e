from services.soak.faults import choose_faults
from services.soak.plan import Plan


def chosen(seed: int):
    return choose_faults(Plan(moves=100, restarts=9, large_bytes=1, seed=seed))


def test_faults_are_as_many_as_planned_spread_over_the_moves_in_their_order():
    faults = chosen(0)
    assert (sum(fault.restart for fault in faults), len(faults)) == (9, 12)
    assert faults == sorted(faults, key=lambda fault: fault.at_move)
    assert all(0 <= fault.at_move < 100 for fault in faults)
    assert len({fault.at_move for fault in faults}) > 6


def test_one_seed_gives_the_same_faults_and_another_one_others():
    assert chosen(1) == chosen(1) != chosen(2)
