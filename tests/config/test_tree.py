"""YAML that is refused, and what each refusal says."""

from dataclasses import dataclass

import pytest

from massgen_compat.config import parse
from massgen_compat.config.tree import MAX_CHARACTERS, MAX_DEPTH, MAX_NODES, read_tree
from massgen_compat.errors import ConfigError

BOMB = "a: &a [x]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    text: str
    says: str


@pytest.mark.parametrize(
    "case",
    [
        Case("empty file", "", "team.yaml: the file is empty"),
        Case("comments only", "# nothing\n", "team.yaml: the file is empty"),
        Case("a list", "- a\n", "team.yaml:1: a config is a mapping"),
        Case("a word", "agents\n", "team.yaml:1: a config is a mapping"),
        Case("a tab", "agents:\n\t- id: a\n", "team.yaml:2: not valid YAML: "),
        Case("an open bracket", "ui: {}\nagents: [", "team.yaml:2: not valid YAML: "),
        Case(
            "two documents", "a: 1\n---\nb: 2\n", "team.yaml:2: not valid YAML: expected a single"
        ),
        Case("a control code", "a: \x1b\n", "team.yaml: not valid YAML: a character"),
        Case("no such code point", 'a: "\\U00110000"\n', "team.yaml: not valid YAML: a character"),
        Case("an absurd code point", 'a: "\\UFFFFFFFF"\n', "not valid YAML"),
        Case("an absurd version", f"%YAML 1.{'9' * 5000}\n---\na: 1\n", "not valid YAML"),
        Case("half a pair", 'ui: 1\na: "\\uD800"\n', "team.yaml:2: half of a surrogate pair"),
        Case(
            "a duplicate key", "a: 1\nb:\n  c: 1\n  c: 2\n", "team.yaml:4: the key 'c' stands twice"
        ),
        Case("a key that is a list", "? [a]\n: 1\n", "team.yaml:1: a key must be plain text"),
        Case("an object", "a: !!python/object:os.system x\n", "team.yaml:1: the tag 'tag:yaml.org"),
        Case("an own tag on a list", "a: !mine [1]\n", "team.yaml:1: the tag '!mine'"),
        Case("a set", "a: !!set {x}\n", "team.yaml:1: the tag"),
        Case("bytes", "a: !!binary eHk=\n", "team.yaml:1: the tag"),
        Case("a wrong number", "ui: 1\na: !!int abc\n", "team.yaml:2: no value of the tag"),
        Case("an empty number", "a: !!int ''\n", "team.yaml:1: no value of the tag"),
        Case("a wrong flag", "a: !!bool maybe\n", "team.yaml:1: no value of the tag"),
        Case("infinity", "a: .inf\n", "team.yaml:1: a number must be finite"),
        Case("not a number", "a: .nan\n", "team.yaml:1: a number must be finite"),
        Case(
            "no such anchor", "a: *nobody\n", "team.yaml:1: not valid YAML: found undefined alias"
        ),
        Case("a list in itself", "a: &a [*a]\n", f"nested deeper than {MAX_DEPTH} levels"),
        Case("a mapping merged into itself", "a: &a {<<: *a}\n", "nested deeper than"),
        Case("a merge of a list of words", "a: {<<: [x]}\n", "`<<` can only merge mappings"),
        Case("a deep nest", f"a: {'[' * 5000}", f"nested deeper than {MAX_DEPTH} levels"),
        Case("many values", f"a: [{'1,' * MAX_NODES}]", f"more than {MAX_NODES} values"),
        Case("a bomb", BOMB, f"more than {MAX_NODES} values"),
        Case("a long file", "#" * (MAX_CHARACTERS + 1), f"longer than {MAX_CHARACTERS}"),
    ],
    ids=lambda case: case.name,
)
def test_a_file_is_refused_with_its_reason(case: Case) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(case.text, {}, "team.yaml")
    assert case.says in caught.value.message


def test_values_are_those_of_yaml_and_dates_are_text() -> None:
    text = "a: 1\nb: 0.5\nc: yes\nd: ~\ne: 2025-01-31\nf: '7'\ng: =\nh: [x, {y: 1e3}]\n1: n\n"
    assert read_tree(text, "f").plain() == {
        "a": 1,
        "b": 0.5,
        "c": True,
        "d": None,
        "e": "2025-01-31",
        "f": "7",
        "g": "=",
        "h": ["x", {"y": "1e3"}],
        "1": "n",
    }


def test_merges_fill_in_what_a_mapping_does_not_say_itself() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  c: 3\n  <<: [*x, *y]\n"
    assert read_tree(text, "f").plain()["z"] == {"a": 1, "b": 1, "c": 3}


def test_aliases_repeat_a_value() -> None:
    assert read_tree("a: &a [1]\nb: [*a, *a]\n", "f").plain()["b"] == [[1], [1]]


def test_a_value_knows_the_line_of_its_key() -> None:
    tree = read_tree("# first\na:\n  - b: 1\n    c: |\n      text\n  -\n    d: 1\n", "f")
    first, second = tree.fields["a"].items
    assert (tree.fields["a"].line, first.line, first.fields["c"].line) == (2, 3, 4)
    assert second.fields["d"].line == 7
