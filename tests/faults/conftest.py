"""The binarized text that the plug-in's own tests use."""

from tests.plugin.test_train import data  # noqa: F401
