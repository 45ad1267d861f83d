from __future__ import annotations

import random

import pytest

from virtual_bench import usbip
from virtual_bench.host.fake_kernel import submit
from virtual_bench.usbip import Receiver, Submit, Unlink, UsbIpError

SETUP = bytes.fromhex("8006000100001200")
# Documentation/usb/usbip_protocol.rst of the kernel, section "EXAMPLE": an interrupt IN request and its answer.
KERNEL_EXAMPLE_SUBMIT = bytes.fromhex(
    "00000001 00000d05 0001000f 00000001 00000001 00000200 00000040 ffffffff 00000000 00000004 0000000000000000"
)
KERNEL_EXAMPLE_ANSWER_HEAD = bytes.fromhex("00000003 00000d05 00000000 00000000 00000000 00000000 00000040")


def test_the_example_of_the_kernels_documentation() -> None:
    (request,) = Receiver().receive_data(KERNEL_EXAMPLE_SUBMIT)
    assert request == Submit(0xD05, 1, True, 64, bytes(8), b"")
    assert isinstance(request, Submit)
    answer = usbip.answer_in(request, bytes(64))
    assert answer[:28] == KERNEL_EXAMPLE_ANSWER_HEAD
    assert len(answer) == 48 + 64


def test_requests_come_out_whole_however_the_stream_is_cut() -> None:
    stream = (
        submit(1, 0, is_in=True, length=18, setup=SETUP)
        + submit(2, 2, is_in=False, data=b"hello")
        + bytes.fromhex("00000002 00000003 00010001 00000000 00000000 00000001").ljust(48, b"\0")
    )
    whole = Receiver().receive_data(stream)
    assert whole == [Submit(1, 0, True, 18, SETUP, b""), Submit(2, 2, False, 5, bytes(8), b"hello"), Unlink(3, 1)]
    for cut in range(len(stream) + 1):
        receiver = Receiver()
        assert receiver.receive_data(stream[:cut]) + receiver.receive_data(stream[cut:]) == whole


def test_garbage_ends_in_the_typed_error() -> None:
    noise = random.Random(1)
    for _ in range(500):
        garbage = b"\xee" + noise.randbytes(60)
        with pytest.raises(UsbIpError):
            Receiver().receive_data(garbage)
    with pytest.raises(UsbIpError):
        Receiver().receive_data(bytes.fromhex("00000001 00000001 00010001 00000000 00000002 00000000 ffffffff") * 3)


def test_no_answer_is_longer_than_its_request() -> None:
    with pytest.raises(UsbIpError):
        usbip.answer_in(Submit(1, 1, True, 4, bytes(8), b""), bytes(5))


def test_the_other_answers() -> None:
    out = Submit(7, 2, False, 3, bytes(8), b"abc")
    assert usbip.answer_out(out) == bytes.fromhex("00000003 00000007" + "00" * 12 + "00000000 00000003" + "00" * 20)
    assert usbip.answer_stall(out)[20:24] == b"\xff\xff\xff\xe0"
    assert usbip.answer_unlink(Unlink(8, 7), in_time=True) == (
        bytes.fromhex("00000004 00000008" + "00" * 12 + "ffffff98" + "00" * 24)
    )
    assert usbip.answer_unlink(Unlink(8, 7), in_time=False)[20:24] == bytes(4)
