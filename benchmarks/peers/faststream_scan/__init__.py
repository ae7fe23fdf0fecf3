"""What a Python team would pick for the pipeline: FastAPI, and FastStream over Redis Streams."""
