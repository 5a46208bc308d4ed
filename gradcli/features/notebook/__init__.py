"""``%%gradcli``: a program in the cells of a notebook, and answers as a notebook shows them."""
