"""Write what the pages of documentation show anew, outputs, tables and pictures: `python tests/write_pages.py [PAGE]`.

Read the difference before you keep it.
"""

import sys
import tempfile
from pathlib import Path

from pages import PAGES, ROOT, Page

if __name__ == "__main__":
    for name in sys.argv[1:] or PAGES:
        page = Page(ROOT / name, fresh=True)
        with tempfile.TemporaryDirectory() as folder:
            text = page.read(Path(folder))
        page.path.write_text(text, "utf-8")
        for path, picture in page.pictures.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(picture, "utf-8")
