"""`python -m clickwise`: the same as the command `clickwise`."""

from clickwise.cli import main

if __name__ == "__main__":
    main()
