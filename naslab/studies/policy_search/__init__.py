"""Policy search by itself, without a benchmark: gradient estimators, and how many samples a policy needs."""
