"""`python -m crossband.recipes.commands`: the same as `crossband`."""

from crossband.recipes.commands import main

if __name__ == "__main__":
    main()
