"""Stations that may ask: the station CA, who is admitted, enrolment."""
