#!/bin/sh
# Translate three sentences with a run: three_sentences.sh NMT RUN
set -eu
nmt=$1
run=$2
sentences='Tomorrow the old man buys a bicycle.
The tired neighbor does not borrow any novels because many painters watch our girl.
Will their curious grandmother send the sister these boots?'
printf '%s\n' "$sentences" | "$nmt" translate "$run" | while IFS= read -r translation; do
    printf '  %s\n' "$translation"
done
