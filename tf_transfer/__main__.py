"""`python -m tf_transfer`: the same as the `tf-transfer` command."""

from tf_transfer.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
