#!/bin/sh
# The demonstration; tests/demo/demo.py tells what it does. demo.sh [FILE [IMPORT OPTION...]]
exec python3 -B "$(dirname -- "$0")/demo.py" "$@"
