"""The parts of a running server, put together: one module for each group of parts, built in this order by `app`."""
