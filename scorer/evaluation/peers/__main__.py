"""python -m scorer.evaluation.peers: what the presses of NVIDIA's kvpress do to answers."""

from scorer.evaluation.peers.main import run_command

if __name__ == "__main__":
    run_command()
