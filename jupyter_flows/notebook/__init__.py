"""Notebooks and scripts as flows: read a file, see its cells as tasks, write states and outputs back.

Modules are imported by name; nothing is imported here, so that reading a graph does not load what
running it needs.
"""
