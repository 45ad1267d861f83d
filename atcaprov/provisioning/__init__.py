"""Provision one chip in ten stages: the library behind every Provisioning Client."""
