"""`python -m tinymaml`."""

from tinymaml.cli import main

raise SystemExit(main())
