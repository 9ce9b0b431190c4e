"""python -m scorer.evaluation: what eviction does to answers, and what it costs."""

from scorer.evaluation.main import run_command

if __name__ == "__main__":
    run_command()
