"""Provision one chip in ten stages: the library for an integrator who writes an own Provisioning Client."""
