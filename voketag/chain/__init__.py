"""The EVM chain: JSON-RPC, what nodes answer, what is offered, what is signed."""
