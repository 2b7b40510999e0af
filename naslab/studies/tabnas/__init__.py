"""TabNAS (Yang et al. 2022): its toy example, search under limits, its parts one by one, and real tables."""
