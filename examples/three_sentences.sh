#!/bin/sh
# Translate three sentences with a run: three_sentences.sh NMT RUN
set -eu
nmt=$1
run=$2
sentences='Tomorrow the old man buys a bicycle.
She does not call the doctor because she will visit him on Monday.
Has the tired teacher opened the small window?'
printf '%s\n' "$sentences" | "$nmt" translate "$run" | while IFS= read -r translation; do
    printf '  %s\n' "$translation"
done
