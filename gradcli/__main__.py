"""``python -m gradcli``."""

from gradcli.commands.main import main

main()
