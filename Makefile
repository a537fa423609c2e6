# `make run` starts the application, `make test` all checks and tests; `make test-fast` the
# tests that take little time; `make test-gpu` the tests and figures of an NVIDIA GPU.
# `make update` installs requirements.txt anew, with ARGS=--all what tests and exports need too. On Windows: run.bat and test.bat.
# ARGS goes on to the program, as in: make run ARGS="--headless --seconds 5"
.PHONY: run test test-fast test-gpu update

run:
	@python3 utils/Launch.py run $(ARGS)

test:
	@python3 utils/Launch.py test $(ARGS)

test-fast:
	@python3 utils/Launch.py test-fast $(ARGS)

test-gpu:
	@python3 utils/Launch.py test-gpu $(ARGS)

update:
	@python3 utils/Launch.py update $(ARGS)
