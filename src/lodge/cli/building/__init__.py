"""What `lodge build` needs: the context as a stream, the display of progress, outputs of one's own."""
