"""``python -m migration.cli``: the same as ``strangler``."""

from migration.cli import main

if __name__ == "__main__":
    main()
