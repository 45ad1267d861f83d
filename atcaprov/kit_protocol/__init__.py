"""The kit protocol: text lines between a host and the board that carries the chips, without any I/O.

`host` speaks as the computer, `interpreter` as the board's firmware; `framing` cuts a byte stream or HID reports into
lines for both. Every published firmware differs in something; docs/reference/kit-protocol.md lists what is understood.
"""
