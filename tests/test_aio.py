"""Queues, bells and alarms, on asyncio and trio."""

import anyio
import anyio.lowlevel
import pytest

from massgen_compat._aio import Channel, LoopTimer, Notifier, streamed
from massgen_compat.events import Sink


@pytest.mark.anyio
async def test_items_come_out_in_their_order_and_then_the_end() -> None:
    channel = Channel[int](3)

    async def send() -> None:
        for number in range(100):
            await channel.send(number)
        channel.close()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            assert [await channel.receive() for _ in range(100)] == list(range(100))
        with pytest.raises(anyio.EndOfStream):
            await channel.receive()


@pytest.mark.anyio
async def test_who_sends_more_than_there_is_room_for_waits() -> None:
    channel = Channel[int](2)
    await channel.send(0)
    await channel.send(1)
    with anyio.move_on_after(0) as waiting:
        await channel.send(2)
    assert waiting.cancelled_caught
    assert await channel.receive() == 0
    await channel.send(3)
    assert [await channel.receive() for _ in range(2)] == [1, 3]


@pytest.mark.anyio
async def test_several_senders_share_the_room() -> None:
    channel = Channel[int](1)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(channel.send, number)
            await anyio.wait_all_tasks_blocked()
            assert sorted([await channel.receive() for _ in range(5)]) == [0, 1, 2, 3, 4]


@pytest.mark.anyio
async def test_nobody_waits_once_it_is_widened() -> None:
    channel = Channel[int](1)
    await channel.send(0)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.send, 1)
            await anyio.wait_all_tasks_blocked()
            channel.widen()
        for number in range(2, 100):
            await channel.send(number)
    assert [await channel.receive() for _ in range(100)] == list(range(100))


@pytest.mark.anyio
async def test_a_bell_wakes_all_that_wait_and_nobody_who_comes_later() -> None:
    bell, woken = Notifier(), list[int]()

    async def wait(number: int) -> None:
        await bell.wait()
        woken.append(number)

    bell.notify()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, 1)
        tasks.start_soon(wait, 2)
        await anyio.wait_all_tasks_blocked()
        assert woken == []
        bell.notify()
    assert sorted(woken) == [1, 2]


@pytest.mark.anyio
async def test_what_is_told_is_read_in_its_order_and_then_raised_what_it_ended_with() -> None:
    async def tell(numbers: Sink[int]) -> None:
        for number in range(100):
            await numbers.send(number)
        raise LookupError("no more")

    with anyio.fail_after(5):
        async with streamed(tell, room=3) as numbers:
            assert [await anext(numbers) for _ in range(100)] == list(range(100))
            with pytest.raises(LookupError, match="no more"):
                await anext(numbers)


@pytest.mark.anyio
async def test_who_leaves_ends_what_is_told() -> None:
    ended = anyio.Event()

    async def tell(numbers: Sink[int]) -> None:
        try:
            while True:
                await numbers.send(0)
        finally:
            ended.set()

    with anyio.fail_after(5):
        async with streamed(tell, room=3) as numbers:
            assert await anext(numbers) == 0
            assert not ended.is_set()
    assert ended.is_set()


@pytest.mark.anyio
async def test_a_bell_wakes_all_that_wait_but_those_that_left() -> None:
    bell, woken = Notifier(), list[str]()

    async def wait(name: str) -> None:
        await bell.wait()
        woken.append(name)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for name in ("ada", "ben"):
                tasks.start_soon(wait, name)
            with anyio.move_on_after(0):
                await bell.wait()
            await anyio.wait_all_tasks_blocked()
            bell.notify()
    assert sorted(woken) == ["ada", "ben"]


@pytest.mark.anyio
async def test_an_alarm_rings_when_it_said_and_sooner_when_told() -> None:
    rings, third, fourth = 0, anyio.Event(), anyio.Event()

    def due() -> float:
        nonlocal rings
        assert anyio.current_time()  # anyio can be used
        rings += 1
        if rings == 3:
            third.set()
        elif rings > 3:
            fourth.set()
        return 0.001 if rings < 3 else 3600

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            alarm = LoopTimer(due, tasks)
            await third.wait()
            alarm.sooner()
            await fourth.wait()
            assert rings == 4
            alarm.stop()  # or the group would never end on trio


@pytest.mark.anyio
async def test_an_alarm_can_be_stopped_while_it_rings() -> None:
    alarms: list[LoopTimer] = []
    rings, rung = 0, anyio.Event()

    def due() -> float:
        nonlocal rings
        rings += 1
        if alarms:
            alarms[0].stop()
            rung.set()
        return 0

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            alarms.append(LoopTimer(due, tasks))
            await rung.wait()
        before = rings
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
    assert rings == before


@pytest.mark.anyio
async def test_an_alarm_that_was_stopped_rings_no_more() -> None:
    rings, rung = 0, anyio.Event()

    def due() -> float:
        nonlocal rings
        rings += 1
        rung.set()
        return 0

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            alarm = LoopTimer(due, tasks)
            await rung.wait()
            alarm.stop()
        before = rings
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
    assert rings == before
