# `make run` starts the application. ARGS goes on to the program, as in:
# make run ARGS="--headless --seconds 5". On Windows: run.bat, and test.bat with the same words.
# check       lint, format, import contracts and types, no tests
# format      formats the code, and repairs what ruff can repair
# test-unit   unit tests that need few packages: the first ones run within a minute of a clone
# test-fast   all tests that take little time
# test        all checks and all tests
# test-long   random search of all properties, costly benchmarks, 1,000 kills, 100,000 damaged files: hours
# test-gpu    tests and figures of an NVIDIA GPU
# docs        builds the documentation as a site with search: site/index.html
# release     wheel and source package, each tried in a bare environment: dist/
# update      installs requirements.txt again; with ARGS=--all all lists
.PHONY: run check format test test-unit test-fast test-long test-gpu docs release update

run check format test test-unit test-fast test-long test-gpu docs release update:
	@python3 utils/Launch.py $@ $(ARGS)
