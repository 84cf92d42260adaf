# make up      a cloud on this machine, with a first server running in it
# make down    stop it; its state stays
# make test    every test
# make setup   what both need: system packages and .venv
#
# HYPERVISOR=fake needs neither root nor QEMU; STATE=DIR and PORT=N choose another place.
#
# make cluster        the same cloud as many processes: PostgreSQL, RabbitMQ, two copies of each API behind HAProxy,
#                     three hosts in namespaces of their own; needs root. Its guests are fake: HYPERVISOR=libvirt
# make cluster-down   stop it; its state stays, unless CLEAN=1

SHELL := /bin/bash
HYPERVISOR ?= libvirt
PYTEST_ARGS ?=

options := $(if $(STATE),--state $(STATE))
up_options := $(options) $(if $(PORT),--port $(PORT)) --hypervisor $(HYPERVISOR)
# Bridges, taps and guests are root's; a fake cloud is anybody's.
as_root := $(if $(filter libvirt,$(HYPERVISOR)),$(if $(filter 0,$(shell id -u)),,sudo))

# A cluster's guests are fake unless somebody says otherwise; its nodes are namespaces, which are root's.
cluster := $(if $(filter 0,$(shell id -u)),,sudo) .venv/bin/python -m tools.cluster $(options)
cluster_options := $(if $(filter file,$(origin HYPERVISOR)),,--hypervisor $(HYPERVISOR))
cluster_options += $(if $(CLUSTER_NETWORK),--network $(CLUSTER_NETWORK))

scripts := tools/lib.sh tools/setup tools/hypervisor tools/run-tests tools/conformance .ci/run
# The guest's shell is busybox: it slices strings, and udhcpc hands it variables.
guest_scripts := $(addprefix pileus/guest_image/files/,init rcS dhcp cloud curl as-root poweroff)

.DEFAULT_GOAL := help
.PHONY: help setup up down cluster cluster-down test lint format clean

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

setup:
	@tools/setup

up: setup
ifeq ($(HYPERVISOR),libvirt)
	@tools/hypervisor start
endif
	@$(as_root) .venv/bin/pileus up $(up_options) --demo --detach

down:
	@if [ -x .venv/bin/pileus ]; then $(as_root) .venv/bin/pileus down $(options); \
	else echo "pileus: nothing was set up here, so nothing runs"; fi

cluster:
	@tools/setup --cluster
	@$(cluster) up $(cluster_options)

cluster-down:
	@if [ -x .venv/bin/python ]; then $(cluster) down $(if $(CLEAN),--clean); \
	else echo "pileus: nothing was set up here, so nothing runs"; fi

test:
	@tools/setup --tests
	@lint=0; $(MAKE) --no-print-directory lint || lint=1; tools/run-tests $(PYTEST_ARGS) && exit $$lint

lint:
	@tools/setup --tests
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --quiet --check . || { echo "pileus: some files are not formatted: run 'make format'"; exit 1; }
	@shellcheck --severity warning --external-sources --source-path tools $(scripts)
	@shellcheck --severity warning --shell sh --exclude SC2154,SC2086,SC3057 $(guest_scripts)
	@.venv/bin/mypy --no-error-summary

format:
	@tools/setup --tests
	@.venv/bin/ruff check --quiet --fix .
	@.venv/bin/ruff format --quiet .

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
