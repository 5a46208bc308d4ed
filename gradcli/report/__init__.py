"""How results and errors look: every output format, and the message of an error under its source line."""
