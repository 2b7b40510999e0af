"""From graphs to PyTorch: :func:`compile_network` for one architecture, :func:`compile_supernet` for all of them at once."""
