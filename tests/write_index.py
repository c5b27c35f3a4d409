"""Write down what the library has, which `crossband ls` lists without importing torch: `python tests/write_index.py`."""

from crossband.recipes.commands import listing

if __name__ == "__main__":
    listing.FILE.write_text(listing.compute(), "utf-8", newline="\n")
