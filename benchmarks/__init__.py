"""What the claims about speed are measured with, side by side with peers: `make bench`."""
