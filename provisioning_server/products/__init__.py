"""The policy of the products that the server issues for."""
