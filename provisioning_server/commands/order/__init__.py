"""Commands for work orders: open, list, show and close them."""
