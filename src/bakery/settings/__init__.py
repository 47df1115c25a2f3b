"""What can be set, read strictly: fields, files, command lines, and the checks on them. Torch-free but for one file."""
