"""Every block of code in the documents does what it says, in the order of its page.

Pages are read as a newcomer reads them: in a folder of their own, with the files that a page names,
and with a provider (scripts behind OpenAI's wire format) in the place of OpenAI's.
"""

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from massgen_compat.cli.server import serving
from massgen_compat.testing import ScriptedServer
from tests.docs.blocks import PAGES, ROOT, Block, Reader, blocks, named

RUN = [path for path in PAGES if any(block.reason is None for block in blocks(path))]
LEFT = [block for path in PAGES for block in blocks(path) if block.reason is not None]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.timeout(180)  # a page can start several servers and programs
@pytest.mark.parametrize("page", RUN, ids=named)
@pytest.mark.anyio
async def test_a_page_does_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("examples", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "examples" / "team_scripted.yaml", tmp_path / "team.yaml")
    other = "agents: [{backend: {type: scripted}}]"
    (tmp_path / "other.yaml").write_text(other, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        provider = stack.enter_context(serving(ScriptedServer({}, default={})))
        env = {
            "OPENAI_API_KEY": "scripted",
            "OPENROUTER_API_KEY": "of a provider that no block asks",
            "OPENAI_BASE_URL": f"{provider}/v1",
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        }
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        reader = Reader(tmp_path, env, stack)
        for block in blocks(page):
            if block.reason is None:
                try:
                    await reader.follow(block)
                except BaseException as error:
                    error.add_note(f"in {block}")
                    raise


@pytest.mark.parametrize("block", LEFT, ids=str)
def test_a_block_that_is_not_run_says_why(block: Block) -> None:
    assert block.reason
    pytest.skip(f"not run: {block.reason}")


def test_a_page_with_blocks_is_read_or_says_why_not() -> None:
    assert {named(path) for path in RUN} | {block.page for block in LEFT} == {
        named(path) for path in PAGES if any(blocks(path))
    }
