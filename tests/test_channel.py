"""A bounded queue between tasks, on asyncio and trio."""

import anyio
import pytest

from massgen_compat.channel import Bell, Channel


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
    bell, woken = Bell(), list[int]()

    async def wait(number: int) -> None:
        await bell.wait()
        woken.append(number)

    bell.ring()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, 1)
        tasks.start_soon(wait, 2)
        await anyio.wait_all_tasks_blocked()
        assert woken == []
        bell.ring()
    assert sorted(woken) == [1, 2]
