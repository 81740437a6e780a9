"""``python -m medcnn``."""

from medcnn.cli.main import run

if __name__ == "__main__":
    run()
