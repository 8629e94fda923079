"""A Hydra plugin of the tests."""
