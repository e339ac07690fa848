"""One file per family of formats. A reader gives the rows of one file in bounded pieces."""
