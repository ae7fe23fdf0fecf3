"""The seed's Factory service: FastAPI, Celery, COPY, a Merkle root and a transaction a batch."""
