"""As in torch."""
