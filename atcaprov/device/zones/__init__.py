"""Write, lock and compare a chip's zones: what provisioning a product and creating a signer module share."""
