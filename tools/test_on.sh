#!/bin/sh
# Run tests of this checkout with another Python: all of them, or what the arguments tell pytest.
# Usage: test_on.sh VERSION [PYTEST ARGUMENT]...
# What is installed for that stays in .cache/test/VERSION.
set -eu
version=$1
shift
exec sh "$(dirname "$0")/run_with.sh" "$version" test_sources.sh ".cache/test/$version" "$@"
