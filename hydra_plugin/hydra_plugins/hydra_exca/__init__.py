"""Hydra plugin: a launcher and a sweeper that answer finished points from the uid cache."""
