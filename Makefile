# Two commands: `make run` starts the application, `make test` all checks and tests.
# `make update` installs requirements.txt anew, with ARGS=--all what tests and exports need too. On Windows: run.bat and test.bat.
# ARGS goes on to the program, as in: make run ARGS="--headless --seconds 5"
.PHONY: run test update

run:
	@python3 utils/Launch.py run $(ARGS)

test:
	@python3 utils/Launch.py test $(ARGS)

update:
	@python3 utils/Launch.py update $(ARGS)
