"""Send one HTTP/1.1 request at a time over connections that stamp each read."""
