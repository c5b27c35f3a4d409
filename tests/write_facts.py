"""Write down the facts of all shipped graphs, which `crossband ls` lists: `python tests/write_facts.py`."""

from crossband.graphs.building import facts

if __name__ == "__main__":
    facts.FILE.write_text(facts.compute(), "utf-8", newline="\n")
