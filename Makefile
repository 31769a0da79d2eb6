.PHONY: check quickstart

check:  ## what .ci/run checks, without the slow tests
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	pytest

quickstart:  ## the first command of the README
	python search/run.py
