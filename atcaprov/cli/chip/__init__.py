"""`atcaprov chip`: ask a chip everything that can be asked without changing it; one module for each command."""
