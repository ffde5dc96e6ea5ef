"""Text in, text out: reading lines, segmentation, translation, parallel workers, shards."""
