"""Searches by gradients through a supernet, put together from parts."""
