"""What a run says: read by one or several, with a bounded memory."""

import anyio
import pytest

from massgen_compat._server.output import Output, Reader
from massgen_compat.protocol.answer import WireEvent


def event(number: int) -> WireEvent:
    return WireEvent("", b"%03d" % number)


async def put_all(output: Output, pieces: int) -> None:
    for number in range(pieces):
        await output.send(event(number))
    output.close()


async def read(reader: Reader, pieces: list[WireEvent]) -> None:
    while more := await reader.read():
        pieces += more


BEAT = WireEvent("", b"beat")
WHOLE = [event(number) for number in range(100)]


@pytest.mark.anyio
async def test_who_joins_late_reads_from_the_beginning() -> None:
    output = Output()
    first, second = list[WireEvent](), list[WireEvent]()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(put_all, output, 100)
        early = output.reader()
        while len(first) < 90:
            first += await early.read()
        tasks.start_soon(read, early, first)
        tasks.start_soon(read, output.reader(), second)
    assert (first, second) == (WHOLE, WHOLE)


@pytest.mark.anyio
async def test_the_fastest_reader_sets_the_pace_while_there_is_room() -> None:
    output = Output(ahead=5)
    pieces: list[WireEvent] = []
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
            assert output.since(0) == WHOLE[:5], "the run is further ahead than it may be"
            assert await reader.read() == WHOLE[:5]
            await anyio.wait_all_tasks_blocked()
            assert output.since(0) == WHOLE[:10]
            tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_beyond_the_memory_what_was_read_is_dropped_and_nobody_can_join() -> None:
    output = Output(keep_bytes=30, ahead=5)
    pieces: list[WireEvent] = []
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
    pieces: list[WireEvent] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(put_all, output, 100)
        await anyio.wait_all_tasks_blocked()
        assert output.since(0) == WHOLE[:10]
        assert output.whole
        await read(output.reader(), pieces)
    assert pieces == WHOLE


@pytest.mark.anyio
async def test_what_breaks_a_silence_is_read_by_one_reader_and_is_no_part_of_the_output() -> None:
    output = Output()
    with output.reader() as reader, output.reader() as other:
        reader.interject([BEAT])
        assert await reader.read() == [BEAT]
        await output.send(event(0))
        reader.interject([BEAT])
        assert await reader.read() == [event(0)], "the beat came before what is there"
        output.close()
        assert not await reader.read(), "a beat came though the silence was over"
        assert await other.read() == [event(0)]
        assert not await other.read()


@pytest.mark.anyio
async def test_beyond_the_deadline_a_reader_that_stalls_holds_nothing_up() -> None:
    output = Output(keep_bytes=30, ahead=5)
    pieces: list[WireEvent] = []
    with output.reader() as stalled, anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(put_all, output, 100)
            await anyio.wait_all_tasks_blocked()
            assert output.since(0) == WHOLE[:5]
            output.widen()
        await read(stalled, pieces)
    assert pieces == WHOLE
