"""python -m scorer.training: trains an adapter."""

from scorer.training.main import run_command

if __name__ == "__main__":
    run_command()
