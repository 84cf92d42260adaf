"""Pileus' own API, /pileus/v1: traces, flows, audit, status. Other services are asked over the bus only."""
