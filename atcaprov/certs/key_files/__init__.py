"""Read keys from the containers in which OpenSSL, Java, browsers and others keep them."""
