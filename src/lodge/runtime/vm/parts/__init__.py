"""What a machine is made of: kernel, initramfs, agent, the image as a disk, the frozen machine to copy."""
