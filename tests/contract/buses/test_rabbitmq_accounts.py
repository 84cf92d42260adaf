"""Who may send and take what over RabbitMQ: accounts, strangers, certificates."""

import asyncio
from pathlib import Path

import aiormq
import pytest
from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed

from pileus.compute.app.conductor import OPEN_TO_HOSTS
from pileus.foundation import errors
from pileus.foundation.bus import PARKED, Bus, BusTimeout, Delivery
from pileus.foundation.bus.opening import NoSuchBus, open_transport
from pileus.foundation.bus.rabbit_accounts import definitions, host_rights
from pileus.foundation.bus.rabbitmq import (
    BrokerRefuses,
    CertificateRefused,
    PlainRefused,
)
from pileus.foundation.runtime import Runtime
from pileus.foundation.tls import Tls
from tests.certificates import Authority
from tests.conftest import Run
from tests.contract.buses.party import TOPICS, Party, Play, echo, raw, until, waiting
from tests.private_rabbitmq import PASSWORDS, PrivateRabbit


def test_a_handler_learns_who_sent_from_the_broker(play: Play) -> None:
    async def scenario(made: Party) -> None:
        senders: list[str] = []

        async def beat(delivery: Delivery) -> str:
            senders.append(delivery.sender)
            return delivery.args["host"]

        control = await made.join()
        control.serve("conductor", {"host.beat": beat, "audit": echo}, OPEN_TO_HOSTS)
        host = await made.join("host.h1")
        assert await host.call("conductor", "host.beat", {"host": "h1"}) == "h1"
        assert await control.call("conductor", "host.beat", {"host": "any"}) == "any"
        with pytest.raises(errors.Forbidden, match=r"host\.h1 may not ask conductor for host\.beat"):
            await host.call("conductor", "host.beat", {"host": "h2"})
        with pytest.raises(errors.Forbidden, match="may not ask conductor for audit"):
            await host.call("conductor", "audit", {})
        assert senders == ["host.h1", "pileus"]

    play(scenario)


def test_a_host_takes_its_own_topics_and_reaches_no_other_host(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(made: Party) -> None:
        control, one, two = await made.join(), await made.join("host.h1"), await made.join("host.h2")
        one.serve("compute-host.h1", {"echo": echo})
        two.serve("compute-host.h2", {"echo": echo})
        assert await control.call("compute-host.h1", "echo", {"n": 1}) == {"n": 1}
        assert await control.call("compute-host.h2", "echo", {"n": 2}) == {"n": 2}
        with pytest.raises(BusTimeout):
            await one.call("compute-host.h2", "echo", {}, timeout_s=0.5)
        assert "host.h1 may not send to call.compute-host.h2" in caplog.text
        one.serve("compute-host.h2", {"echo": echo})
        await until(lambda: "host.h1 cannot take compute-host.h2" in caplog.text)
        assert await control.call("compute-host.h1", "echo", {"n": 3}) == {"n": 3}  # neither did it any harm

    play(scenario)


def test_a_host_that_comes_before_the_conductor_is_answered_once_that_is_there(play: Play) -> None:
    async def scenario(made: Party) -> None:
        host = await made.join("host.h1")
        call = asyncio.ensure_future(host.call("conductor", "host.beat", {"host": "h1"}))
        await until(lambda: made.transports[0]._astray == 1)
        (await made.join()).serve("conductor", {"host.beat": echo}, OPEN_TO_HOSTS)
        assert await call == {"host": "h1"}

    play(scenario)


def test_the_broker_lets_no_host_read_anothers_replies_or_pose_as_another(play: Play) -> None:
    async def scenario(made: Party) -> None:
        control = await made.join()
        for key in (control._address, "reply.host.h2.00", "#", "reply.#", "call.conductor"):
            async with raw(made.rabbit, "host.h1") as channel:
                queue = (await channel.queue_declare(exclusive=True)).queue
                with pytest.raises(ChannelAccessRefused):
                    await channel.queue_bind(queue, "pileus", key)
        async with raw(made.rabbit, "host.h1") as channel:
            with pytest.raises(ChannelAccessRefused):
                await channel.basic_publish(b"", exchange="", routing_key="cast.compute-host.h2")
        async with raw(made.rabbit, "host.h1") as channel:
            with pytest.raises(ChannelPreconditionFailed):
                await channel.basic_publish(
                    b"", exchange="pileus", routing_key="call.conductor",
                    properties=aiormq.spec.Basic.Properties(user_id="host.h2"),
                )  # fmt: skip
        for act in ("queue_delete", "queue_purge"):
            async with raw(made.rabbit, "host.h1") as channel:
                with pytest.raises(ChannelAccessRefused):
                    await getattr(channel, act)(PARKED)

    play(scenario)


def test_a_strangers_message_is_parked_and_never_handled(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(made: Party) -> None:
        bus = await made.join()
        seen = await made.take(bus)
        async with raw(made.rabbit) as channel:
            for key in ("call.numbers", "cast.numbers", bus._address):
                await channel.basic_publish(b"anything", exchange="pileus", routing_key=key)
        await waiting(bus, PARKED, 3)
        assert seen == []
        assert caplog.text.count("it does not say who sent it") == 3
        assert await bus.call("numbers", "echo", {"n": 1}) == {"n": 1}

    play(scenario)


def test_a_wrong_password_is_refused_at_once_and_never_shown(
    rabbit: PrivateRabbit, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        runtime = Runtime("stranger")
        with pytest.raises(BrokerRefuses, match="refuses the account pileus: check its password") as refused:
            await open_transport(rabbit.url(password="guessed"), runtime)
        assert "guessed" not in str(refused.value) + caplog.text
        accepted = await open_transport(f"amqp://pileus@127.0.0.1:{rabbit.port}", runtime, password=PASSWORDS["pileus"])
        await accepted.close()
        with pytest.raises(NoSuchBus, match="There is no bus of kind 'nats'"):
            await open_transport("nats://somewhere", runtime)
        await runtime.stop()

    run(work)


def test_an_account_is_made_and_ended_while_the_broker_runs(rabbit: PrivateRabbit, run: Run) -> None:
    async def work() -> None:
        runtime = Runtime("operator")
        url = rabbit.url().replace("pileus:of%20the%20control%20plane", "host.h3:of%20h3")
        with pytest.raises(BrokerRefuses):
            await open_transport(url, runtime)
        data = definitions([host_rights("h3")], {"host.h3": "of h3"}, runtime)
        for _ in range(2):
            rabbit.learn(data)
        transport = await open_transport(url, runtime)
        await transport.close()
        rabbit.control("delete_user", "host.h3")
        with pytest.raises(BrokerRefuses):
            await open_transport(url, runtime)
        await runtime.stop()

    run(work)


def test_tls_believes_only_a_certificate_of_our_ca_for_the_host_that_was_asked(
    rabbit: PrivateRabbit, run: Run, tmp_path: Path
) -> None:
    async def work() -> None:
        runtime = Runtime("by TLS")
        ours = Tls(authority=str(rabbit.authority.path))
        client = rabbit.authority.issue("client")
        for files in (ours, Tls(str(client.certificate), str(client.key), str(rabbit.authority.path))):
            transport = await open_transport(rabbit.url(tls=True), runtime, tls=files)
            bus = Bus(transport, runtime)
            bus.serve("echo", {"echo": echo})
            assert await bus.call("echo", "echo", {"n": 1}) == {"n": 1}
            await transport.close()
        with pytest.raises(CertificateRefused, match=r"not valid for '127\.0\.0\.1'"):
            await open_transport(rabbit.url(tls=True).replace("localhost", "127.0.0.1"), runtime, tls=ours)
        for files in (None, Tls(authority=str(Authority(tmp_path, "another").path))):
            with pytest.raises(CertificateRefused, match="must name that host and come from the CA"):
                await open_transport(rabbit.url(tls=True), runtime, tls=files)
        with pytest.raises(PlainRefused, match="write amqps://"):
            await open_transport(rabbit.url(), runtime, tls=ours)
        await rabbit.forget(TOPICS)
        await runtime.stop()

    run(work)
