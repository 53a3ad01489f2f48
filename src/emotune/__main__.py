"""``python -m emotune``: the command line, for launchers that start modules, as ``torchrun -m emotune train`` does."""

from emotune.cli import main

if __name__ == "__main__":
    main()
