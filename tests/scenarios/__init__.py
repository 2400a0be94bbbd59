"""Tables that a trader can read: one line a command, with what it must give. README.md explains the language."""
