"""Figures in the docs are what their commands print."""

from pathlib import Path

from benchmarks import gpt52, thrift

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_of_the_gpt_5_2_page_is_the_one_that_its_command_prints() -> None:
    page = (DOCS / "gpt-5.2.md").read_text(encoding="utf-8")
    assert "\n".join(gpt52.table()) in page


def test_under_the_policy_no_immediate_submission_is_accepted_anywhere() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in gpt52.table()][2:]
    assert len(rows) == 2 * len(gpt52.CONFIGURATIONS)
    for configuration, policy, made, accepted, *_ in rows:
        assert int(made) > 0, configuration
        assert (int(accepted) == 0) is (policy == "this one"), configuration


def test_the_calls_in_the_table_of_savings_are_those_that_its_command_counts() -> None:
    page = (DOCS / "costs.md").read_text(encoding="utf-8")
    head, rule = thrift.HEAD
    table = page.partition(f"{head}\n{rule}\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert [tuple(row[:3]) for row in rows] == list(thrift.calls())
    for row in rows:
        ours, theirs = map(int, row[2].split(" : "))
        assert row[3] == f"{ours / theirs:.2f}"
