"""Every limit of graphs and recipes, and of what is said of them: what is beyond one is refused before work is done.

They are far above what networks need, so that whoever meets one has made a mistake or means harm. The table in the
page of the graph format is written from `table`.
"""

from collections.abc import Iterator

from crossband.registry import LONGEST_TEXT, LONGEST_WORD

# of a file
MAX_BYTES = 1_000_000
MAX_VALUES = 50_000  # every use of an anchor counted in full
MAX_DEPTH = 64
LARGEST = 2**63  # larger whole numbers are typing errors, and no tensor holds them
MAX_PARENTS = 32

# of an expression
MAX_LENGTH = 2000  # characters: no text of this length overflows the parser
MAX_PARTS = 100  # bounds the depth of the tree as well
MAX_NUMBER = 10**15  # exact as int and as float
MAX_EXPONENT = 64
MAX_ITEMS = 1000
MAX_TOKENS = 200  # of a call in the flow of a recipe; bounds the depth of the tree as well

# of a graph written out
MAX_REPEAT = 1000
MAX_RANGE = 1000
MAX_NODES = 10_000
MAX_STEPS = 10_000
MAX_BLOCKS_DEEP = 32
MAX_DIVISIONS = 40
LARGEST_SIZE = 1 << 20
USUAL_SIDE = 512  # pixels of an image side, for which sizes inside must stay sensible

# Of an image, 8192x8192: beyond thermal cameras and nearly all photographs. As three channels of float32, in which
# networks take it, it has 768 MiB, so that a machine of 4 GB holds it.
MAX_PIXELS = 2**26

# of what is said
MAX_ERRORS = 50


def table() -> Iterator[tuple[str, str]]:
    """What is limited, and to how much: the rows of the table in the documentation."""
    yield "a file", f"{MAX_BYTES // 1_000_000} MB of UTF-8 text"
    yield "values in a file", f"{MAX_VALUES:,}, every use of an anchor counted in full"
    yield "mappings and lists inside each other", f"{MAX_DEPTH}"
    yield "a whole number", "less than 2^63"
    yield "files that extend each other", f"{MAX_PARENTS} in a row"
    yield "an expression after `=`", f"{MAX_LENGTH:,} characters, {MAX_PARTS} parts"
    yield "a number that an expression gives, and each on the way", f"10^{len(str(MAX_NUMBER)) - 1}"
    yield "an exponent", f"{MAX_EXPONENT}"
    yield "a list that an expression gives", f"{MAX_ITEMS:,} items"
    yield "a call in the `flow` of a recipe", f"{MAX_TOKENS} names, brackets, points and commas"
    yield "`repeat`", f"{MAX_REPEAT:,}"
    yield "names of one range, `head1..head6`", f"{MAX_RANGE:,}"
    yield "nodes after indices are written out", f"{MAX_NODES:,}"
    yield "blocks after repetitions are written out", f"{MAX_STEPS:,}"
    yield "local blocks and graphs inside each other", f"{MAX_BLOCKS_DEEP}"
    yield "divisions of a size inside each other", f"{MAX_DIVISIONS}"
    yield f"a size inside, for an image of {USUAL_SIDE} by {USUAL_SIDE} pixels", f"{LARGEST_SIZE:,}"
    yield "the weights of a network", "the memory at hand when it is built; `check` and `show` need none"
    yield "an image", f"{MAX_PIXELS:,} pixels, of up to 8 bytes each; `--max-pixels` and `max_pixels=` change it"
    yield "images for a network", "the memory at hand, by what the network holds at the least"
    yield "errors that are shown", f"the first {MAX_ERRORS}, and how many more; `check --json` has all"
    yield "a message", f"{LONGEST_TEXT:,} characters, and {LONGEST_WORD} of a name or any other word"
