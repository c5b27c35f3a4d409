"""Reading YAML: scalars, places, what is refused and how it is told, and nothing ever a traceback."""

import json
import os
import pickle
from textwrap import dedent

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crossband.graphs.language import reader
from crossband.graphs.language.diagnostics import CODES, Diagnostic, InvalidFile, Problems
from crossband.graphs.language.document import RELATIVE, Document, Mark
from crossband.graphs.language.reader import MAX_BYTES, read, read_text
from crossband.graphs.language.writer import dump

often = settings(max_examples=60)  # text is cheap
GRAPH = dedent("""\
    # a small graph
    graph: small
    params: {width: 64, rate: 1e-4}
    nodes:
      en1: {RSU: {depth: 7, mid: =width/2}}
      en2: [{MaxPool: {ceil: true}}, "=wide*2"]
      gone:
      block:
        from: en1
        do:
        - Conv: {out: &four 4}
        - {Conv: {out: *four}}
    doc: |
      two
      lines
""")


def document(text: str, file: str = "graphs/x.yaml") -> Document:
    problems = Problems()
    found = read_text(text, problems, file)
    problems.raise_if_any()
    assert found
    return found


def report(text: str) -> str:
    problems = Problems()
    assert read_text(text, problems, "x.yaml") is None
    return problems.render()


# --- values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, None) for word in ("null", "Null", "NULL", "~", "")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        *[(word, word) for word in ("yes", "no", "on", "off", "y", "n", "nULL", "tRue", "=", "<")],
        *[(text, text) for text in ("12:30:45", "2001-01-01", "1_000", "0b1", "1e", "e4", ".", "+", "0x", "1.2.3")],
        ("12", 12),
        ("-7", -7),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0xfF", 255),
        ("1e-4", 1e-4),
        ("2E3", 2000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5e+3", -1500.0),
        ("1.0", 1.0),
        ("'1'", "1"),
        ('"null"', "null"),
        ('"\\u00e9"', "é"),
        ("=width/2", "=width/2"),
    ],
)
def test_scalars_of_the_core_schema(text, value):
    found = document(f"a: {text}").data["a"]
    assert found == value
    assert type(found) is type(value)


def test_data():
    data = document(GRAPH).data
    assert data["params"] == {"width": 64, "rate": 1e-4}
    assert list(data["nodes"]) == ["en1", "en2", "gone", "block"]
    assert data["nodes"]["gone"] is None
    assert data["nodes"]["block"]["do"] == [{"Conv": {"out": 4}}, {"Conv": {"out": 4}}]
    assert data["doc"] == "two\nlines\n"


def test_each_use_of_an_anchor_is_a_copy():
    data = document("a: &x {b: [1]}\nc: *x\nd: *x").data
    assert data == {"a": {"b": [1]}, "c": {"b": [1]}, "d": {"b": [1]}}
    assert data["c"] is not data["d"]
    assert data["c"]["b"] is not data["a"]["b"]


@pytest.mark.parametrize(
    "text", ["\ufeffa: 1\nb: 2", "a: 1\r\nb: 2\r\n", "a: 1\rb: 2", "%YAML 1.2\n---\na: 1\nb: 2\n...\n"]
)
def test_byte_order_mark_line_breaks_and_directives(text):
    assert document(text).data == {"a": 1, "b": 2}


def test_without_libyaml(monkeypatch):
    monkeypatch.delattr(yaml, "CSafeLoader")
    slow = document(GRAPH)
    monkeypatch.undo()
    fast = document(GRAPH)
    assert slow.data == fast.data
    assert slow._root == fast._root


# --- places


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (("graph",), (2, "small"), (2, "graph")),
        (("params", "rate"), (3, "1e-4"), (3, "rate")),
        (("params",), (3, "{width: 64, rate: 1e-4}"), (3, "params")),
        (("nodes",), (4, "nodes"), (4, "nodes")),  # in block style the key stands for it
        (("nodes", "en1", "RSU", "mid"), (5, "=width/2"), (5, "mid")),
        (("nodes", "en2", 1), (6, '"=wide*2"'), (6, '"=wide*2"')),
        (("nodes", "gone"), (7, "gone"), (7, "gone")),
        (("nodes", "block", "do", 0), (11, "Conv"), (11, "Conv")),
        (("nodes", "block", "do", 1, "Conv", "out"), (12, "*four"), (12, "out")),
        (("doc",), (13, "|"), (13, "doc")),
        (("params", "nothing", "there"), (3, "{width: 64, rate: 1e-4}"), (3, "{width: 64, rate: 1e-4}")),
        (("nodes", "en2", 9), (6, '[{MaxPool: {ceil: true}}, "=wide*2"]'), (6, '[{MaxPool: {ceil: true}}, "=wide*2"]')),
        ((), (2, "graph"), (2, "graph")),
    ],
)
def test_marks(path, value, key):
    found = document(GRAPH)
    for expected, place in ((value, found.place(*path)), (key, found.place().child(*path).on_key())):
        mark = place.mark
        assert mark
        assert (mark.line, found.line(mark.line)[mark.column - 1 :][: mark.length]) == expected


def test_a_stretch_within_a_text_value():
    found = document(GRAPH)
    assert found.place("nodes", "en1", "RSU", "mid").within(1, 5).mark == Mark(5, 31, 5)
    assert found.place("nodes", "en2", 1).within(1, 4).mark == Mark(6, 36, 4)  # behind the quote
    folded = document("a: \"x\\\n  y\"\nb: 'it''s'\nc: 4")
    for path in ("a", "b", "c", "d"):  # its characters are not those of the file: all of it is meant
        assert folded.place(path).within(1, 1).mark == folded.place(path).mark


def test_documents_can_be_sent_to_other_processes():
    found = pickle.loads(pickle.dumps(document(GRAPH).place("nodes", "en1")))
    assert str(found) == "graphs/x.yaml:5:8"


# --- what is refused


def test_a_report_whole():
    assert report("a: 1\nb: {x: 1, x: 2}\na: !!str 3\n") == dedent("""\
        x.yaml:2:11: E003 `x` is given twice
          b: {x: 1, x: 2}
                    ^
        note: first given here (x.yaml:2:5)

        x.yaml:3:1: E003 `a` is given twice
          a: !!str 3
          ^
        note: first given here (x.yaml:1:1)

        x.yaml:3:4: E004 tags such as `!!str` are not read
          a: !!str 3
             ^~~~~~~
        hint: remove the tag

        3 errors in x.yaml""")


BEGIN = "begin with `graph: its_name`, or a recipe with `recipe: its_name`"
QUOTE = "put text that contains brackets, commas or `: ` in quotes"
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 80))


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("", "1:1", "E002 the file is empty", BEGIN),
        ("# only this", "1:1", "E002 the file is empty", BEGIN),
        (
            "a: 1\n---\nb: 2",
            "2:1",
            "E002 the file holds more than one document",
            "remove the line `---`, or put what follows in a file of its own",
        ),
        ("a: [1, 2\nb: 3", "1:4", "E002 not YAML: `[` is never closed", f"close the bracket, and {QUOTE}"),
        ("a: {b: 1\n\n\n", "1:4", "E002 not YAML: `{` is never closed", f"close the bracket, and {QUOTE}"),
        ("a:\n\tb: 1", "2:1", "E002 not YAML: a tab stands in the indentation", "indent with spaces"),
        (
            "a: @x",
            "1:4",
            "E002 not YAML: found character that cannot start any token",
            "put text that begins with `@` in quotes",
        ),
        (
            "a: b: c",
            "1:5",
            "E002 not YAML: mapping values are not allowed in this context",
            "begin each key on its own line, and put text that contains `: ` in quotes",
        ),
        (
            "a: 1\nhello\nb: 2",
            "2:1",
            "E002 not YAML: could not find expected `:`",
            "write `key: value`, with a space after the colon",
        ),
        ("a: 'x\nb: 2", "1:4", "E002 not YAML: found unexpected end of stream", "close the quote"),
        (
            'a: "C:\\q"',
            "1:7",
            "E002 not YAML: found unknown escape character",
            "use single quotes, in which a backslash is plain text",
        ),
        (
            "a:\n  b: 1\n c: 2",
            "3:2",
            "E002 not YAML: did not find expected key",
            f"begin the keys of one mapping at the same column, and {QUOTE}",
        ),
        (
            "a:\n  - 1\n  b: 2",
            "3:3",
            "E002 not YAML: did not find expected `-` indicator",
            "begin the items of one list at the same column",
        ),
        ("a: 1\nb: \x07", "2:4", "E002 the character U+0007 cannot stand in a text file", None),
        ("a: \ud800", "1:4", "E002 the character U+D800 cannot stand in a text file", None),
        ("<<: {a: 1}", "1:1", "E004 merge keys `<<` are not read", "write the keys out, or use `extends`"),
        (
            "a: !!python/object:os.system x",
            "1:4",
            "E004 tags such as `!!python/object:os.system` are not read",
            "remove the tag",
        ),
        ("a: ! x", "1:4", "E004 tags such as `!` are not read", "remove the tag"),
        ("a: &x [*x]", "1:8", "E004 the value of `&x` contains itself", None),
        ("a: *x", "1:4", "E004 no anchor `&x` stands above", "put text that begins with `*` in quotes"),
        (BOMB, "5:25", "E004 more than 50000 values, uses of anchors counted in full", None),
        (CHAIN, "64:12", "E004 nested more than 64 deep", None),
        ("[" * 100_000, "1:65", "E004 nested more than 64 deep", None),
        ("- " * 100_000, "1:129", "E004 nested more than 64 deep", None),
        ("{a: " * 100_000, "1:257", "E004 nested more than 64 deep", None),
        ("? " * 100_000, "1:129", "E004 nested more than 64 deep", None),
        ("[" + "1, " * 60_000 + "]", "1:149999", "E004 more than 50000 values, uses of anchors counted in full", None),
        ("1: a", "1:1", "E006 a key must be text, got 1", "put it in quotes: '1'"),
        ("true: a", "1:1", "E006 a key must be text, got true", "put it in quotes: 'true'"),
        ("? [x]\n: 1", "1:3", "E006 a key must be text, got a list", None),
        ("a: {{x}: 1}", "1:5", "E006 a key must be text, got a mapping", None),
        ("a: .nan", "1:4", "E006 `.nan` is not a finite number", None),
        ("a: -.inf", "1:4", "E006 `-.inf` is not a finite number", None),
        ("a: 1e999", "1:4", "E006 the number `1e999` is too large", None),
        ("a: 9223372036854775808", "1:4", "E006 the number `9223372036854775808` is too large", None),
        ('a: "\\0"', "1:4", "E006 text must not contain the character U+0000", None),
        (
            "a: {out: =min(b, c)}",
            "1:10",
            "E014 the expression `=min(b` is cut off by the comma",
            "inside `{}` and `[]`, put an expression that contains a comma in quotes: '=min(a, b)'",
        ),
    ],
)
def test_messages(text, place, message, hint):
    problems = Problems()
    assert read_text(text, problems, "x.yaml") is None
    [found] = problems
    assert (f"{found.place}", f"{found.code} {found.message}", found.hint) == (f"x.yaml:{place}", message, hint)


def test_all_that_is_wrong_is_told_at_once():
    problems = Problems()
    read_text("a: 1\na: 2\n3: x\nb: !t x\n<<: {}\nc: {d: 1, d: 2, d: 3}", problems)
    assert [diagnostic.code for diagnostic in problems] == ["E003", "E006", "E004", "E004", "E003", "E003"]


def test_the_same_faulty_file_read_twice_is_refused_twice():
    problems = Problems()
    assert read_text("a: 1\na: 2", problems) is None
    assert read_text("a: 1\na: 2", problems) is None
    assert len(problems) == 2
    assert len(list(problems)) == 1


# --- files


def test_reading_a_file(tmp_path):
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbfa: caf\xc3\xa9\r\n")
    problems = Problems()
    found = read(tmp_path / "x.yaml", problems)
    assert found
    assert found.data == {"a": "café"}
    assert found.file == str(tmp_path / "x.yaml")
    assert not problems


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("gragh.yaml", None, ("no such file", "did you mean `graph.yaml`?")),
        ("zzz", None, ("no such file", RELATIVE)),
        ("no/graph.yaml", None, ("no such file", "there is no folder `no`")),
        ("folder", None, ("a folder, and not a file", None)),
        ("nul\0", None, ("embedded null byte", None)),
        ("latin.yaml", b"a: caf\xe9", ("not UTF-8 text: byte 6 is 0xe9", "save the file as UTF-8")),
        ("utf16.yaml", "a: 1".encode("utf-16"), ("not UTF-8 text: byte 0 is 0xff", "save the file as UTF-8")),
        ("huge.yaml", b"#" * (MAX_BYTES + 1), ("larger than 1 MB", None)),
    ],
)
def test_files_that_cannot_be_read(tmp_path, monkeypatch, name, content, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graph.yaml").write_text("a: 1")
    (tmp_path / "folder").mkdir()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    problems = Problems()
    assert read(name, problems) is None
    [found] = problems
    assert (found.code, (found.message, found.hint)) == ("E001", told)
    assert found.as_dict()["line"] is None
    shown = name.replace("\0", "\\u{0}")
    assert found.render().startswith(f"{shown}: E001 {told[0]}")


# --- how problems are shown


def test_the_shape_of_a_diagnostic():
    found = document(GRAPH, "graphs/small.yaml")
    place = found.place("nodes", "en1", "RSU", key=True)
    diagnostic = Diagnostic(
        "E010",
        "no block named `RSU`",
        place,
        "did you mean `RSV`?",
        (("used here", found.place("nodes")), ("so", None)),
    )
    assert diagnostic.render() == dedent("""\
        graphs/small.yaml:5:9: E010 no block named `RSU`
            en1: {RSU: {depth: 7, mid: =width/2}}
                  ^~~
        hint: did you mean `RSV`?
        note: used here (graphs/small.yaml:4:1)
        note: so""")
    assert diagnostic.as_dict() == {
        "code": "E010",
        "file": "graphs/small.yaml",
        "line": 5,
        "column": 9,
        "message": "no block named `RSU`",
        "hint": "did you mean `RSV`?",
    }
    json.dumps(diagnostic.as_dict())
    coloured = diagnostic.render(colour=True)
    assert "\x1b[" in coloured
    assert "\x1b[" not in diagnostic.render()


@pytest.mark.parametrize(
    ("line", "shown", "carets"),
    [
        ("a: {b: x}", "a: {b: x}", "       ^"),
        ("日本: {b: xyz}", "日本: {b: xyz}", "          ^~~"),
        ("{日本: 1, b: 日本}", "{日本: 1, b: 日本}", "             ^~~~"),
        ("{'e\u0301': 1, b: e\u0301x}", "{'e\u0301': 1, b: e\u0301x}", "            ^~"),
        ("{a:\t1, b:\tx}", "{a:    1, b:    x}", "                ^"),
        ("{a: '\u202e\u200b', b: x}", "{a: '\\u{202e}\\u{200b}', b: x}", "                           ^"),
    ],
)
def test_carets_stand_under_the_token(line, shown, carets):
    found = document(line)
    path = ("b",) if "b" in found.data else (*list(found.data)[:1], "b")
    assert Diagnostic("E006", "wrong", found.place(*path)).render().splitlines()[1:] == [f"  {shown}", f"  {carets}"]


def test_long_lines_are_cut_around_the_token():
    found = document("{" + ", ".join(f"key{number}: {number}" for number in range(5000)) + "}")
    source, carets = Diagnostic("E006", "wrong", found.place("key2500")).render().splitlines()[1:]
    assert len(source) < 130
    assert source[carets.index("^") :].startswith("2500")


def test_a_terminal_obeys_nothing_from_a_file():
    rendered = Diagnostic(
        "E006", "\x1b[2Jgone\x07", Document("\x1b]0;x", "").place(), "\x9b31m", (("\x1b[1A", None),)
    ).render()
    assert not any(character in rendered for character in "\x1b\x07\x9b")


def test_problems_are_sorted_counted_and_kept_once():
    first, second = document("a: 1\nb: 2", "a.yaml"), document("a: 1", "b.yaml")
    problems = Problems()
    assert not problems
    problems.raise_if_any()
    problems.add("E006", "wrong", first.place("b"))
    assert problems.render().endswith("\n\n1 error in a.yaml")
    problems.add("E006", "wrong", second.place("a"))
    problems.add("E006", "wrong", first.place("a"))
    problems.add("E006", "wrong", first.place("a"))
    assert [str(diagnostic.place) for diagnostic in problems] == ["a.yaml:1:4", "a.yaml:2:4", "b.yaml:1:4"]
    with pytest.raises(InvalidFile) as caught:
        problems.raise_if_any()
    assert str(caught.value) == problems.render()
    assert str(caught.value).endswith("\n\n3 errors in 2 files")
    assert caught.value.problems is problems


def test_codes_are_stable_words():
    with pytest.raises(AssertionError):
        Problems().add("E999", "unknown", None)
    assert all(code[0] == "E" and code[1:].isdigit() and meaning for code, meaning in CODES.items())


# --- laws

text = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t \x85:#'\"[]{},&*!|>%@`=-"), max_size=20
)
words = st.sampled_from(
    ["1e-4", "no", "null", "0x1", "=a/2", "<<", "---", "...", "- a", "a: b", "#", " ", "x\n", "a\n\nb\n", "a\n "]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text.filter(lambda value: not reader.NOT_TEXT.search(value))
    | words
)
keys = scalars.filter(lambda value: isinstance(value, str))
data = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5), max_leaves=20
)


def same(left: object, right: object) -> bool:
    """Equal, in order, and 1 is not 1.0 or true."""
    return repr(left) == repr(right)


@often
@given(data)
@example("...")
@example({"<<": "<<"})
@example({"a": [{"b": "x\ny\n", "c": ["x\ny", {"d": "z" * 120}]}]})
def test_what_is_written_is_read_again(value):
    assert same(document(dump(value)).data, value)
    assert same(document(dump({"a": value}, expand=["a"])).data, {"a": value})


@often
@given(data)
def test_both_parsers_read_the_same(value):
    written = dump({"a": value})
    fast = document(written)
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(yaml, "CSafeLoader")
        assert same(document(written).data, fast.data)


@often
@given(data)
def test_every_value_has_a_place_with_its_text(value):
    found = document(dump({"top": value}))

    def visit(value, path):
        mark = found.place(*path).mark
        assert mark
        stretch = found.line(mark.line)[mark.column - 1 :][: mark.length]
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert stretch == repr(value)
        for key, child in (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        ):
            visit(child, (*path, key))

    visit(found.data, ())


def holds_for(content: str) -> None:
    """Any text gives data or problems that can be shown."""
    problems = Problems()
    found = read_text(content, problems)
    assert (found is None) == bool(problems)
    problems.render()
    json.dumps([diagnostic.as_dict() for diagnostic in problems])
    if found:
        json.dumps(found.data, allow_nan=False)
        assert str(found.place("nodes", "en1"))


snippets = st.sampled_from(
    [
        *"\n\t :#'\"[]{},&*!|>%@`=-?~\\\x00\x85\u2028\ufeff",
        "a",
        "1",
        "&x ",
        "*x",
        "<<",
        "---\n",
        "\n  ",
        "- ",
        ": ",
        "!!str ",
        ".nan",
    ]
)


@often
@given(st.text(max_size=50) | st.lists(snippets, max_size=30).map("".join))
def test_any_text(content):
    holds_for(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(yaml, "CSafeLoader")
        holds_for(content)


@often
@given(st.integers(0, len(GRAPH)), st.integers(0, 12), st.text(max_size=5) | snippets)
def test_any_slip_in_a_good_file(start, length, other):
    holds_for(GRAPH[:start] + other + GRAPH[start + length :])


@often
@given(content=st.binary(max_size=60))
def test_any_bytes(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    problems = Problems()
    assert (read(os.fspath(path), problems) is None) == bool(problems)
    problems.render()


# --- writing


def test_dump_is_readable():
    written = dump(document(GRAPH).data, expand=["nodes"])
    assert written == dedent("""\
        graph: small
        params: {width: 64, rate: 0.0001}
        nodes:
          en1: {RSU: {depth: 7, mid: =width/2}}
          en2: [{MaxPool: {ceil: true}}, =wide*2]
          gone: null
          block: {from: en1, do: [{Conv: {out: 4}}, {Conv: {out: 4}}]}
        doc: |
          two
          lines
    """)


def test_dump_breaks_what_is_wider_than_a_line():
    node = {"from": ["a", "b"], "do": [{"RSU": {"depth": 4, "mid": "=min(a, b)", "out": 8}}] * 3}
    assert dump({"nodes": {"de5": node}}) == dedent("""\
        nodes:
          de5:
            from: [a, b]
            do:
              - {RSU: {depth: 4, mid: '=min(a, b)', out: 8}}
              - {RSU: {depth: 4, mid: '=min(a, b)', out: 8}}
              - {RSU: {depth: 4, mid: '=min(a, b)', out: 8}}
    """)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**63, "\0", "\ud800", {"k" * 2000: 1}])
def test_what_yaml_cannot_hold_is_not_written(value):
    with pytest.raises(ValueError, match=r"cannot be written|at most 1000"):
        dump({"a": value})


@pytest.mark.parametrize("value", [{1: 2}, {"a": {1}}, {"a": b"x"}, {"a": object()}])
def test_what_is_not_plain_data_is_not_written(value):
    with pytest.raises(TypeError):
        dump(value)
