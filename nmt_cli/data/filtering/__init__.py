"""What is wrong with pairs of a corpus: the rules that `nmt check` reports and `nmt prepare` drops by."""
