"""Compute over HTTP: the operations as a table, what they take, how answers look at each microversion."""
