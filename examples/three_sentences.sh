#!/bin/sh
# Translate three sentences with a run and show its attention: three_sentences.sh NMT RUN
set -eu
nmt=$1
run=$2
sentences='The old man reads a book.
Tomorrow his little sister will buy a bicycle.
Will their curious grandmother send the sister these boots?'

printf '%s\n' "$sentences" | "$nmt" translate "$run"

echo
echo 'Where each word of the first translation looked, in percent:'
printf '%s\n' "$sentences" | head -n 1 | "$nmt" plot attention "$run" --words

printf '%s\n' "$sentences" | "$nmt" plot attention "$run" --words --quiet -o "$run/attention.html"
echo "All three, as a page for a browser: $run/attention.html"
