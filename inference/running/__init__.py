"""What a run of many models over many texts is made of."""
