import no_network  # noqa: F401
