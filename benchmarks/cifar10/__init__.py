"""The most accurate int8 file of 96 KiB: networks, data, training, and the file's own score."""
