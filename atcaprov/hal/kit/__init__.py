"""Kit boards: lines over a serial port, HID or TCP, a dialogue with one board, and its chips as HALs."""
