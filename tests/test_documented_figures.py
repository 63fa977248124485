"""Figures in the docs are what their commands print."""

from pathlib import Path

from benchmarks import gpt52

DOCS = Path(__file__).parents[1] / "docs"


def test_the_table_of_the_gpt_5_2_page_is_the_one_that_its_command_prints() -> None:
    page = (DOCS / "gpt-5.2.md").read_text(encoding="utf-8")
    assert "\n".join(gpt52.table()) in page


def test_under_the_policy_no_immediate_submission_is_accepted_anywhere() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in gpt52.table()][2:]
    assert len(rows) == 2 * len(gpt52.CONFIGURATIONS)
    for configuration, policy, made, accepted, *_ in rows:
        assert int(made) > 0, configuration
        assert (int(accepted) == 0) is (policy == "this one"), configuration
