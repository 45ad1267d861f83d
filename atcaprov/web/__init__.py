"""What a web page of a program here needs: bounded HTTP, TLS, logins, forms. Needs the extra `web`."""
