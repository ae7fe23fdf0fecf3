"""The systems that make batches of products, as the sections about factories see them."""
