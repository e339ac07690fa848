"""Who answers which request, and how that changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clickwise.errors import ConfigError
from clickwise.serving.traffic import Traffic


def test_shares_are_stable_and_as_large_as_said() -> None:
    traffic = Traffic(live=1, second=2, share=0.25)
    chosen = [traffic.number_for(b"user-%d" % n) for n in range(4000)]
    assert chosen == [traffic.number_for(b"user-%d" % n) for n in range(4000)]
    assert chosen[:10] == [2, 1, 1, 1, 1, 1, 2, 2, 2, 1], "the same in every process and version"
    assert 0.22 < chosen.count(2) / 4000 < 0.28
    wider = Traffic(live=1, second=2, share=0.5)
    assert all(wider.number_for(b"user-%d" % n) == 2 for n in range(4000) if chosen[n] == 2), "a share only grows"


def test_a_new_leader_takes_everything_and_the_old_one_is_remembered() -> None:
    traffic = Traffic(live=1).with_second(2, 0.1).with_shadow(3)
    assert traffic.numbers == (1, 2, 3)
    led = traffic.led_by(2)
    assert led == Traffic(live=2, before=(1,))
    assert led.led_by(2) == led
    assert led.led_by(3).back() == led
    assert led.back() == Traffic(live=1)
    with pytest.raises(ConfigError, match="version 1 is the first that was live"):
        led.back().back()


@pytest.mark.parametrize(
    "tried",
    [
        lambda traffic: traffic.with_second(3, 0.3),
        lambda traffic: traffic.with_shadow(3),
        lambda traffic: traffic.with_second(3, 0.3).with_shadow(1),
    ],
)
def test_the_first_step_back_ends_what_is_tried(tried: Callable[[Traffic], Traffic]) -> None:
    led = Traffic(live=1).led_by(2)
    assert tried(led).back() == led, "the live version is not what is tried"
    assert tried(led).back().back() == Traffic(live=1)
    assert tried(Traffic(live=2)).back() == Traffic(live=2), "there need be no version before"


def test_few_are_remembered() -> None:
    traffic = Traffic(live=1)
    for number in range(2, 40):
        traffic = traffic.led_by(number)
    assert traffic.before == tuple(range(19, 39))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"live": 0}, "live: got 0"),
        ({"live": 1, "second": 2}, "share: got 0.0"),
        ({"live": 1, "second": 2, "share": 1.0}, "share: got 1.0"),
        ({"live": 1, "share": 0.5}, "share: got 0.5"),
        ({"live": 1, "second": 1, "share": 0.5}, "second: got 1"),
        ({"live": 1, "shadow": 1}, "shadow: got 1"),
        ({"live": 1, "before": (0,)}, "before: got"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Traffic(**wrong)
