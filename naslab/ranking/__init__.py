"""How well evaluators rank architectures: naming them, keeping what they say, and judging it."""
