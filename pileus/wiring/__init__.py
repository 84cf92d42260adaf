"""The one place that knows every service: settings in, a cloud out. It builds and hands in; it decides nothing.

A module for each part tells how it is made from the `Ground` of its process. `embedded` is the composition of all
parts in one process, `served` of some parts in one process of many.
"""
