"""Fraud risk as pure functions: a product's history, the rules, and the score they add up to."""
