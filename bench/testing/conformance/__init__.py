"""The conformance set: streams whose truth is known, and the instrument held against them.

The streams are data files, `streams/API/NAME.json`; docs/conformance.md lists them.
"""
