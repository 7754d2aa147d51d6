"""StackingBERT: pre-train a BERT-like encoder by growing it."""
