"""What a run says: read by one or several, with a bounded memory."""

import anyio
import pytest

from massgen_compat.serving.output import Output, Reader


async def put_all(output: Output, pieces: int) -> None:
    for number in range(pieces):
        await output.put(b"%03d" % number)
    output.close()


async def read(reader: Reader, pieces: list[bytes]) -> None:
    while (piece := await reader.next()) is not None:
        pieces.append(piece)


WHOLE = [b"%03d" % number for number in range(100)]


@pytest.mark.anyio
async def test_who_joins_late_reads_from_the_beginning() -> None:
    output = Output()
    first, second = list[bytes](), list[bytes]()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(put_all, output, 100)
        early = output.reader()
        assert [await early.next() for _ in range(90)] == WHOLE[:90]
        tasks.start_soon(read, early, first)
        tasks.start_soon(read, output.reader(), second)
    assert (first, second) == (WHOLE[90:], WHOLE)


@pytest.mark.anyio
async def test_the_fastest_reader_sets_the_pace_while_there_is_room() -> None:
    output = Output(ahead=5)
    pieces: list[bytes] = []
    with output.reader():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(put_all, output, 100)
            await read(output.reader(), pieces)
    assert pieces == WHOLE


@pytest.mark.anyio
async def test_the_only_reader_sets_the_pace() -> None:
    output = Output(ahead=5)
    with output.reader() as reader:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(put_all, output, 100)
            await anyio.wait_all_tasks_blocked()
            assert await output.at(4) == b"004"
            with anyio.move_on_after(0) as waiting:
                await output.at(5)
            assert waiting.cancelled_caught, "the run is further ahead than it may be"
            assert [await reader.next() for _ in range(3)] == WHOLE[:3]
            await anyio.wait_all_tasks_blocked()
            assert await output.at(7) == b"007"
            tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_beyond_the_memory_what_was_read_is_dropped_and_nobody_can_join() -> None:
    output = Output(keep_bytes=30, ahead=5)
    pieces: list[bytes] = []
    with output.reader() as reader:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(put_all, output, 100)
            await read(reader, pieces)
    assert pieces == WHOLE
    assert not output.whole
    with pytest.raises(RuntimeError, match="dropped"):
        output.reader()


@pytest.mark.anyio
async def test_without_readers_a_run_goes_on_until_the_memory_is_full() -> None:
    output = Output(keep_bytes=30, ahead=5)
    pieces: list[bytes] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(put_all, output, 100)
        await anyio.wait_all_tasks_blocked()
        assert await output.at(9) == b"009"
        with anyio.move_on_after(0) as waiting:
            await output.at(10)
        assert waiting.cancelled_caught
        assert output.whole
        await read(output.reader(), pieces)
    assert pieces == WHOLE
