"""A proof for people: the terminal, the model card, one page of HTML, and the files of a finished bake."""
