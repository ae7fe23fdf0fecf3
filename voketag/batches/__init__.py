"""Batches: what an ERP sends, what is made of it, what is shown of it. Pure."""
