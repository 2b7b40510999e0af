"""Strategies that learn a factorised policy, one softmax per choice, and what they share: draws, rewards, gradients."""
